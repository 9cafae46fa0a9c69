// SPDX-License-Identifier: Apache-2.0
#include "config/did_you_mean.hpp"

#include <algorithm>
#include <array>
#include <numeric>

namespace weir::config {
namespace {
constexpr std::size_t longest_word = 64;
constexpr std::size_t farthest = 2;
}  // namespace

std::size_t edit_distance(std::string_view a, std::string_view b, std::size_t limit) {
  const std::size_t far = limit + 1;
  const std::size_t difference = a.size() > b.size() ? a.size() - b.size() : b.size() - a.size();
  if (difference > limit || a.size() > longest_word || b.size() > longest_word) return far;
  std::array<std::size_t, longest_word + 1> row{};  // distances of a[0, i) to every prefix of b
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return std::min(row[b.size()], far);
}

std::string_view did_you_mean(std::string_view word, std::span<const std::string_view> candidates) {
  std::string_view best;
  std::size_t best_distance = std::min(farthest + 1, word.size());
  for (const auto candidate : candidates) {
    const std::size_t distance = edit_distance(word, candidate, farthest);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::string did_you_mean_hint(std::string_view word, std::span<const std::string_view> candidates) {
  const auto best = did_you_mean(word, candidates);
  if (best.empty()) return {};
  std::string hint = "did you mean `";
  hint += best;
  hint += "`?";
  return hint;
}

}  // namespace weir::config
