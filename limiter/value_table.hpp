// SPDX-License-Identifier: Apache-2.0
// Many values, each with a number, looked up by hash: keys and tokens are never held in the clear.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace weir::limiter {

/// Immutable. Holds the first 16 bytes of SHA-256 of each value: 20 bytes a value, and no way back to it. How
/// long a look-up takes tells nothing about the values.
class value_table {
 public:
  struct entry {
    std::array<std::uint8_t, 16> digest{};
    std::uint32_t number = 0;
    friend bool operator==(const entry&, const entry&) = default;
  };
  [[nodiscard]] static entry make_entry(std::string_view value, std::uint32_t number) noexcept;

  value_table() = default;
  /// In any order; of entries with one value the first stays.
  explicit value_table(std::vector<entry> entries);

  /// The number of `value`, byte for byte; nothing when it is not listed.
  [[nodiscard]] std::optional<std::uint32_t> find(std::string_view value) const noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  friend bool operator==(const value_table&, const value_table&) = default;

 private:
  std::vector<entry> entries_;  // sorted by digest
};

}  // namespace weir::limiter
