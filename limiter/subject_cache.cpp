// SPDX-License-Identifier: Apache-2.0
#include "limiter/subject_cache.hpp"

#include <bit>
#include <cstring>
#include <new>
#include <span>
#include <type_traits>

namespace weir::limiter {
namespace {

/// Good enough to spread what differs in a digit. Reads whole words, the last one overlapping.
std::size_t place_of(std::string_view encoding) noexcept {
  constexpr std::uint64_t factor = 0x9e3779b97f4a7c15u;
  std::uint64_t hash = encoding.size();
  const auto mix = [&hash](const char* bytes, std::size_t size) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes, size);
    hash = (hash ^ word) * factor;
    hash ^= hash >> 32;
  };
  constexpr std::size_t word_size = 8;
  if (encoding.size() < word_size) {
    mix(encoding.data(), encoding.size());
  } else {
    const char* const last = encoding.data() + encoding.size() - word_size;
    for (const char* at = encoding.data(); at < last; at += word_size) mix(at, word_size);
    mix(last, word_size);
  }
  constexpr int unused_bits = 64 - std::countr_zero(subject_cache::places);
  static_assert(std::has_single_bit(subject_cache::places));
  return static_cast<std::size_t>(hash * factor >> unused_bits);  // the upper bits know of all the others
}

}  // namespace

// Memory of zeros that the system has not given yet: a page is taken when a place in it is.
subject_cache::place* subject_cache::zeroed::make() {
  static_assert(std::is_trivially_copyable_v<place>);
  void* const all = std::calloc(places, sizeof(place));  // NOLINT(cppcoreguidelines-no-malloc)
  if (all == nullptr) throw std::bad_alloc();
  return static_cast<place*>(all);
}

bool subject_cache::rests() noexcept {
  if (resting_ > 0) return --resting_, true;
  if (asked_ == round) {
    if (replaced_ > round / 2) resting_ = round * rounds_of_rest;
    asked_ = replaced_ = 0;
  }
  ++asked_;
  return false;
}

subject_key subject_cache::hash(std::string_view encoding) noexcept {
  ++hashed_;
  return hash_subject(encoding);
}

subject_key subject_cache::find(std::string_view encoding) {
  if (encoding.empty() || encoding.size() > longest || rests()) return hash(encoding);
  if (!places_) places_.reset(zeroed::make());
  const std::span<place, 2> both(&places_[place_of(encoding) & ~std::size_t{1}], 2);
  for (const place& p : both) {
    if (p.holds(encoding)) return p.subject;
  }
  const bool full = both[0].size > 0 && both[1].size > 0;
  if (full) ++replaced_;
  place& p = full ? both[hashed_ % 2] : both[both[0].size > 0 ? 1 : 0];
  p.subject = hash(encoding);
  p.size = static_cast<std::uint8_t>(encoding.size());
  std::memcpy(p.encoding.data(), encoding.data(), p.size);
  return p.subject;
}

}  // namespace weir::limiter
