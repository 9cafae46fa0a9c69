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

/// The name of a field of a request, ready to be looked for in several lists.
struct sought_name {
  explicit sought_name(std::string_view name) noexcept : text(name), bucket(bucket_of(name)) {}

  std::string_view text;
  std::uint64_t bucket;  ///< one bit, the same for a name in any case

  [[nodiscard]] static std::uint64_t bucket_of(std::string_view name) noexcept {
    if (name.empty()) return 0;
    const std::size_t last = static_cast<unsigned char>(name.back()) | 0x20U;
    return std::uint64_t{1} << ((name.size() + 5 * last) % 64);
  }
};

/// Distinct names in lower case. Most fields of a request differ from all of them in length or last letter,
/// and cost no comparison.
class field_names {
 public:
  /// Appends a name (lower case, not empty), unless it is there.
  void add(std::string_view name);

  /// Position of `name`, in any case, among all().
  [[nodiscard]] std::optional<std::size_t> find(const sought_name& name) const noexcept {
    return (buckets_ & name.bucket) == 0 ? std::nullopt : search(name.text);
  }
  [[nodiscard]] std::optional<std::size_t> find(std::string_view name) const noexcept {
    return find(sought_name(name));
  }
  [[nodiscard]] bool contain(const sought_name& name) const noexcept { return find(name).has_value(); }
  [[nodiscard]] bool contain(std::string_view name) const noexcept { return contain(sought_name(name)); }

  [[nodiscard]] std::span<const std::string> all() const noexcept { return names_; }

 private:
  [[nodiscard]] std::optional<std::size_t> search(std::string_view name) const noexcept;

  std::vector<std::string> names_;
  std::uint64_t buckets_ = 0;  // of all names
};

}  // namespace weir::http
