// SPDX-License-Identifier: Apache-2.0
// Networks as ranges of addresses, in any number.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace weir::limiter {

/// An IP address by value, in network order; IPv4 is stored v4-mapped (::ffff:a.b.c.d).
using address_bytes = std::array<std::uint8_t, 16>;

/// Both ends belong to it; first <= last.
struct address_range {
  address_bytes first{}, last{};
  friend bool operator==(const address_range&, const address_range&) = default;
};

/// Immutable. A look-up is a binary search: twenty steps among a million networks, no allocation.
class address_set {
 public:
  address_set() = default;
  /// In any order; ranges may overlap.
  explicit address_set(std::vector<address_range> ranges);

  [[nodiscard]] bool empty() const noexcept { return ranges_.empty(); }
  [[nodiscard]] bool contains(const address_bytes& address) const noexcept;
  friend bool operator==(const address_set&, const address_set&) = default;

 private:
  std::vector<address_range> ranges_;  // sorted, disjoint
};

}  // namespace weir::limiter
