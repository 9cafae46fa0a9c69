// SPDX-License-Identifier: Apache-2.0
#include "limiter/value_table.hpp"

#include "limiter/sha256.hpp"

#include <algorithm>

namespace weir::limiter {

value_table::entry value_table::make_entry(std::string_view value, std::uint32_t number) noexcept {
  const sha256_digest digest = sha256(value);
  entry made{{}, number};
  std::copy_n(digest.begin(), made.digest.size(), made.digest.begin());
  return made;
}

value_table::value_table(std::vector<entry> entries) : entries_(std::move(entries)) {
  std::stable_sort(entries_.begin(), entries_.end(),
                   [](const entry& a, const entry& b) { return a.digest < b.digest; });
  const auto same = [](const entry& a, const entry& b) { return a.digest == b.digest; };
  entries_.erase(std::unique(entries_.begin(), entries_.end(), same), entries_.end());
  entries_.shrink_to_fit();
}

std::optional<std::uint32_t> value_table::find(std::string_view value) const noexcept {
  const entry wanted = make_entry(value, 0);
  const auto place = std::lower_bound(entries_.begin(), entries_.end(), wanted,
                                      [](const entry& a, const entry& b) { return a.digest < b.digest; });
  if (place == entries_.end() || place->digest != wanted.digest) return std::nullopt;
  return place->number;
}

}  // namespace weir::limiter
