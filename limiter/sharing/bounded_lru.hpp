// SPDX-License-Identifier: Apache-2.0
// A table of what is known per subject and rule, bounded: subjects are chosen by clients.
#pragma once

#include "limiter/decision.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
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
template <class Value>
class bounded_lru {
 public:
  /// `secret` keys the hash, so that nobody can aim many subjects at one bucket.
  bounded_lru(std::size_t capacity, std::uint64_t secret) : capacity_(capacity), secret_(secret | 1) {}

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool full() const noexcept { return size_ >= capacity_; }

  /// Null when absent. What is found becomes the most recently used.
  [[nodiscard]] Value* find(const entry_key& key) noexcept {
    const std::uint32_t i = locate(key);
    if (i == none) return nullptr;
    touch(i);
    return &at(i).value;
  }

  /// The entry that was not used for the longest time; the table must not be empty.
  [[nodiscard]] const entry_key& oldest_key() const noexcept { return at(oldest_).key; }
  [[nodiscard]] Value& oldest() noexcept { return at(oldest_).value; }

  /// A fresh value for a key that is absent, in a table that is not full.
  Value& insert(const entry_key& key) {
    if (size_ + 1 > buckets_.size()) grow();
    std::uint32_t i = free_;
    if (i == none) {
      i = made_++;
      if (i / chunk_size == chunks_.size()) chunks_.push_back(std::make_unique<chunk>());
    } else {
      free_ = at(i).chain;
    }
    node& n = at(i);
    n.key = key;
    n.value = Value{};
    std::uint32_t& bucket = buckets_[bucket_of(key)];
    n.chain = bucket;
    bucket = i;
    link_newest(i);
    ++size_;
    return n.value;
  }

  void erase(const entry_key& key) noexcept {
    if (buckets_.empty()) return;
    std::uint32_t* link = &buckets_[bucket_of(key)];
    while (*link != none && !(at(*link).key == key)) link = &at(*link).chain;
    if (*link == none) return;
    const std::uint32_t i = *link;
    *link = at(i).chain;
    unlink(i);
    at(i).chain = free_;
    free_ = i;
    --size_;
  }

  void clear() noexcept {
    chunks_.clear();
    made_ = 0;
    buckets_.clear();
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
  struct node {
    entry_key key;
    std::uint32_t chain = none;  // next in the bucket or the free list
    std::uint32_t newer = none, older = none;
    Value value{};
  };
  static constexpr std::uint32_t chunk_size = 256;  // a power of two: finding a node costs a shift
  using chunk = std::array<node, chunk_size>;

  [[nodiscard]] node& at(std::uint32_t i) const noexcept {
    return (*chunks_[i / chunk_size])[i % chunk_size];
  }

  [[nodiscard]] std::size_t bucket_of(const entry_key& key) const noexcept {
    const entry_key::words words = key.as_words();
    std::uint64_t h = secret_;
    for (const std::uint64_t word :
         {words.first, words.second, words.third ^ words.last * 0x9e3779b97f4a7c15u}) {
      h = (h ^ word) * 0x9e3779b97f4a7c15u;
      h ^= h >> 29;
    }
    return static_cast<std::size_t>((h * secret_) >> 20) & (buckets_.size() - 1);
  }

  [[nodiscard]] std::uint32_t locate(const entry_key& key) const noexcept {
    if (buckets_.empty()) return none;
    std::uint32_t i = buckets_[bucket_of(key)];
    while (i != none && !(at(i).key == key)) i = at(i).chain;
    return i;
  }

  void grow() {
    constexpr std::size_t smallest = 16;
    buckets_.assign(buckets_.empty() ? smallest : buckets_.size() * 2, none);
    for (std::uint32_t i = newest_; i != none; i = at(i).older) {
      std::uint32_t& bucket = buckets_[bucket_of(at(i).key)];
      at(i).chain = bucket;
      bucket = i;
    }
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
  std::vector<std::uint32_t> buckets_;
  std::uint32_t newest_ = none, oldest_ = none, free_ = none;
  std::size_t size_ = 0;
};

}  // namespace weir::limiter
