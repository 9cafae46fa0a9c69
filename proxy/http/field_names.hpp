// SPDX-License-Identifier: Apache-2.0
// Names of fields that a configuration speaks about, and which of them a field of a request has.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weir::http {

/// Distinct names in lower case. Most fields of a request have a length that none of them has, and cost no
/// comparison.
class field_names {
 public:
  /// Appends a name (lower case), unless it is there.
  void add(std::string_view name);

  /// Position of `name`, in any case, among all().
  [[nodiscard]] std::optional<std::size_t> find(std::string_view name) const noexcept {
    if ((lengths_ >> (name.size() % 64) & 1) == 0) return std::nullopt;
    return search(name);
  }
  [[nodiscard]] bool contain(std::string_view name) const noexcept { return find(name).has_value(); }

  [[nodiscard]] std::span<const std::string> all() const noexcept { return names_; }

 private:
  [[nodiscard]] std::optional<std::size_t> search(std::string_view name) const noexcept;

  std::vector<std::string> names_;
  std::uint64_t lengths_ = 0;  // bit i: a name has i bytes, modulo 64
};

}  // namespace weir::http
