// SPDX-License-Identifier: Apache-2.0
// A table of what is known per subject and rule, bounded: subjects are chosen by clients.
#pragma once

#include "limiter/decision.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

namespace weir::limiter {

/// Names one rule's state of one subject.
struct entry_key {
  subject_key subject;
  std::array<char, 4> rid{};

  /// All of its bytes, for whoever hashes or compares them.
  struct words {
    std::uint64_t first, second, third;
    std::uint16_t last;
  };
  [[nodiscard]] words as_words() const noexcept {
    static_assert(sizeof(entry_key) == 26, "nothing but characters");
    words w;
    const auto* const bytes = reinterpret_cast<const char*>(this);
    std::memcpy(&w.first, bytes, 8);
    std::memcpy(&w.second, bytes + 8, 8);
    std::memcpy(&w.third, bytes + 16, 8);
    std::memcpy(&w.last, bytes + 24, 2);
    return w;
  }
  friend bool operator==(const entry_key& a, const entry_key& b) noexcept {
    const words x = a.as_words(), y = b.as_words();
    return x.first == y.first && x.second == y.second && x.third == y.third && x.last == y.last;
  }
};

[[nodiscard]] inline entry_key key_of(const charge& c) noexcept {
  return {c.subject, c.matched->rid.id};
}

/// Least-recently-used table. Values never move; memory grows with use, up to `capacity` entries. Not
/// thread-safe.
///
/// Made for tables larger than the processor's caches: a key that is absent is known from the index alone,
/// and the entry that will be pushed out next is fetched ahead.
template <class Value>
class bounded_lru {
 public:
  /// `secret` keys the hash, so that nobody can aim many subjects at one place of the index.
  bounded_lru(std::size_t capacity, std::uint64_t secret) : capacity_(capacity), secret_(secret | 1) {}

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool full() const noexcept { return size_ >= capacity_; }

  /// Null when absent. What is found becomes the most recently used.
  [[nodiscard]] Value* find(const entry_key& key) noexcept {
    const std::size_t place = locate(key, hash_of(key));
    if (place == nowhere) return nullptr;
    const std::uint32_t i = index_[place].node;
    touch(i);
    return &at(i).value;
  }

  /// The entry that was not used for the longest time; the table must not be empty.
  [[nodiscard]] const entry_key& oldest_key() const noexcept { return at(oldest_).key; }
  [[nodiscard]] Value& oldest() noexcept { return at(oldest_).value; }

  /// A fresh value for a key that is absent, in a table that is not full.
  Value& insert(const entry_key& key) {
    if (2 * (size_ + 1) > index_.size()) grow();
    std::uint32_t i = free_;
    if (i == none) {
      if (made_ / chunk_size == chunks_.size()) chunks_.push_back(std::make_unique<chunk>());
      i = made_++;
    } else {
      free_ = at(i).older;
    }
    node& n = at(i);
    n.key = key;
    n.value = Value{};
    add(index_, {hash_of(key), i});
    link_newest(i);
    ++size_;
    if (full()) fetch_ahead(at(oldest_));
    return n.value;
  }

  void erase(const entry_key& key) noexcept {
    const std::size_t place = locate(key, hash_of(key));
    if (place == nowhere) return;
    const std::uint32_t i = index_[place].node;
    remove(place);
    unlink(i);
    at(i).older = free_;
    free_ = i;
    --size_;
  }

  void clear() noexcept {
    chunks_.clear();
    made_ = 0;
    index_.clear();
    newest_ = oldest_ = free_ = none;
    size_ = 0;
  }

  /// Every value, newest first. `visit` must not change the table.
  template <class Visitor>
  void for_each(Visitor visit) {
    for (std::uint32_t i = newest_; i != none; i = at(i).older) visit(at(i).key, at(i).value);
  }

 private:
  static constexpr std::uint32_t none = ~std::uint32_t{0};
  static constexpr std::size_t nowhere = ~std::size_t{0};
  struct node {
    entry_key key;
    std::uint32_t newer = none, older = none;  // older: in the free list the next
    Value value{};
  };
  static constexpr std::uint32_t chunk_size = 256;  // a power of two: finding a node costs a shift
  using chunk = std::array<node, chunk_size>;

  /// Open addressing with linear probing, at most half full; its size is a power of two.
  struct index_entry {
    std::uint32_t hash = 0;
    std::uint32_t node = none;  // none: empty
  };
  using index = std::vector<index_entry>;

  [[nodiscard]] node& at(std::uint32_t i) const noexcept {
    return (*chunks_[i / chunk_size])[i % chunk_size];
  }

  [[nodiscard]] std::uint32_t hash_of(const entry_key& key) const noexcept {
    const entry_key::words words = key.as_words();
    std::uint64_t h = secret_;
    for (const std::uint64_t word :
         {words.first, words.second, words.third ^ words.last * 0x9e3779b97f4a7c15u}) {
      h = (h ^ word) * 0x9e3779b97f4a7c15u;
      h ^= h >> 29;
    }
    return static_cast<std::uint32_t>((h * secret_) >> 20);
  }

  [[nodiscard]] std::size_t locate(const entry_key& key, std::uint32_t hash) const noexcept {
    if (index_.empty()) return nowhere;
    const std::size_t mask = index_.size() - 1;
    for (std::size_t place = hash & mask;; place = (place + 1) & mask) {
      const index_entry& e = index_[place];
      if (e.node == none) return nowhere;
      if (e.hash == hash && at(e.node).key == key) return place;
    }
  }

  static void add(index& to, index_entry e) noexcept {
    const std::size_t mask = to.size() - 1;
    std::size_t place = e.hash & mask;
    while (to[place].node != none) place = (place + 1) & mask;
    to[place] = e;
  }

  /// Closes the gap, so that who came behind it is still found: each moves up unless its own place is behind
  /// the gap.
  void remove(std::size_t gap) noexcept {
    const std::size_t mask = index_.size() - 1;
    for (std::size_t place = (gap + 1) & mask; index_[place].node != none; place = (place + 1) & mask) {
      const std::size_t from_home = (place - index_[place].hash) & mask;
      if (from_home < ((place - gap) & mask)) continue;
      index_[gap] = index_[place];
      gap = place;
    }
    index_[gap] = {};
  }

  void grow() {
    constexpr std::size_t smallest = 32;
    index larger(index_.empty() ? smallest : index_.size() * 2);
    for (const index_entry& e : index_) {
      if (e.node != none) add(larger, e);
    }
    index_ = std::move(larger);
  }

  static void fetch_ahead(const node& n) noexcept {
    constexpr std::size_t line = 64;
    for (std::size_t offset = 0; offset < sizeof n; offset += line)
      __builtin_prefetch(reinterpret_cast<const char*>(&n) + offset, 1);
  }

  void link_newest(std::uint32_t i) noexcept {
    at(i).newer = none;
    at(i).older = newest_;
    if (newest_ != none) at(newest_).newer = i;
    newest_ = i;
    if (oldest_ == none) oldest_ = i;
  }
  void unlink(std::uint32_t i) noexcept {
    const node& n = at(i);
    (n.newer == none ? newest_ : at(n.newer).older) = n.older;
    (n.older == none ? oldest_ : at(n.older).newer) = n.newer;
  }
  void touch(std::uint32_t i) noexcept {
    if (i == newest_) return;
    unlink(i);
    link_newest(i);
  }

  std::size_t capacity_;
  std::uint64_t secret_;
  std::vector<std::unique_ptr<chunk>> chunks_;
  std::uint32_t made_ = 0;  // nodes in use or free
  index index_;
  std::uint32_t newest_ = none, oldest_ = none, free_ = none;
  std::size_t size_ = 0;
};

}  // namespace weir::limiter
