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

/// Distinct names in lower case. Most fields of a request differ from all of them in length or last letter,
/// and cost no comparison.
class field_names {
 public:
  /// Appends a name (lower case, not empty), unless it is there.
  void add(std::string_view name);

  /// Position of `name`, in any case, among all().
  [[nodiscard]] std::optional<std::size_t> find(std::string_view name) const noexcept {
    if (name.empty() || (buckets_ & bucket_of(name)) == 0) return std::nullopt;
    return search(name);
  }
  [[nodiscard]] bool contain(std::string_view name) const noexcept { return find(name).has_value(); }

  [[nodiscard]] std::span<const std::string> all() const noexcept { return names_; }

 private:
  [[nodiscard]] std::optional<std::size_t> search(std::string_view name) const noexcept;

  /// One bit, the same for a name in any case.
  [[nodiscard]] static std::uint64_t bucket_of(std::string_view name) noexcept {
    const std::size_t last = static_cast<unsigned char>(name.back()) | 0x20U;
    return std::uint64_t{1} << ((name.size() + 5 * last) % 64);
  }

  std::vector<std::string> names_;
  std::uint64_t buckets_ = 0;  // of all names
};

}  // namespace weir::http
