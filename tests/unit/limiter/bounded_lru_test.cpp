// SPDX-License-Identifier: Apache-2.0
#include "limiter/sharing/bounded_lru.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <list>
#include <random>
#include <string>
#include <utility>

using namespace weir::limiter;

namespace {

entry_key key(int number) {
  return {hash_subject(std::to_string(number)), {'a', 'b', 'c', 'd'}};
}

/// The same in the plainest form: newest first.
class plain_lru {
 public:
  using entry = std::pair<int, int>;
  int* find(int number) {
    const auto at =
        std::find_if(entries_.begin(), entries_.end(), [&](const entry& e) { return e.first == number; });
    if (at == entries_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, at);
    return &entries_.front().second;
  }
  void insert(int number, int value) { entries_.emplace_front(number, value); }
  void erase(int number) {
    entries_.remove_if([&](const entry& e) { return e.first == number; });
  }
  [[nodiscard]] int oldest() const { return entries_.back().first; }
  [[nodiscard]] const std::list<entry>& entries() const { return entries_; }

 private:
  std::list<entry> entries_;
};

}  // namespace

TEST_CASE("a bounded table finds, forgets and orders as a plain list does") {
  constexpr std::size_t capacity = 100;
  std::mt19937 random(7);
  for (const int numbers : {90, 150, 3000}) {  // never full; mostly known; mostly new
    bounded_lru<int> table(capacity, 42);
    plain_lru expected;
    for (int step = 0; step < 20'000; ++step) {
      const int number = static_cast<int>(random() % static_cast<unsigned>(numbers));
      int* const known = table.find(key(number));
      int* const wanted = expected.find(number);
      REQUIRE((known == nullptr) == (wanted == nullptr));
      if (known != nullptr) {
        REQUIRE(*known == *wanted);
        if (random() % 4 == 0) table.erase(key(number)), expected.erase(number);
        continue;
      }
      if (table.full()) {
        REQUIRE(table.oldest_key() == key(expected.oldest()));
        expected.erase(expected.oldest());
        table.erase(table.oldest_key());
      }
      int& fresh = table.insert(key(number));
      CHECK(fresh == 0);
      fresh = step;
      expected.insert(number, step);
    }
    REQUIRE(table.size() == expected.entries().size());
    auto at = expected.entries().begin();
    table.for_each([&](const entry_key& k, int& value) {
      REQUIRE(k == key(at->first));
      REQUIRE(value == (at++)->second);
    });
    table.clear();
    CHECK(table.size() == 0);
    CHECK(table.find(key(1)) == nullptr);
  }
}
