// SPDX-License-Identifier: Apache-2.0
#include "limiter/subject_cache.hpp"

#include <doctest/doctest.h>
#include <string>

using namespace weir::limiter;

TEST_CASE("a remembered subject is the one that hashing gives, for every size of encoding") {
  subject_cache cache;
  for (int round = 0; round < 2; ++round) {
    for (std::size_t size = 0; size <= subject_cache::longest + 2; ++size) {
      const std::string encoding(size, static_cast<char>('a' + size % 26));
      CHECK(cache.find(encoding) == hash_subject(encoding));
    }
  }
}

TEST_CASE("a subject that comes back is not hashed again, unless its encoding is long") {
  subject_cache cache;
  for (int i = 0; i < 3; ++i) (void)cache.find("4:user3:ann");
  CHECK(cache.hashed() == 1);
  const std::string most(subject_cache::longest, 'a');
  for (int i = 0; i < 3; ++i) (void)cache.find(most);
  CHECK(cache.hashed() == 2);
  for (int i = 0; i < 3; ++i) (void)cache.find(most + 'a');
  CHECK(cache.hashed() == 5);
}

TEST_CASE("encodings that differ in one byte are told apart, however many there are") {
  subject_cache cache;
  const auto encoding = [](std::size_t i) { return "4:user12:user-" + std::to_string(1'000'000 + i); };
  constexpr std::size_t many = 4 * subject_cache::places;
  for (std::size_t i = 0; i < many; ++i) REQUIRE(cache.find(encoding(i)) == hash_subject(encoding(i)));
  CHECK(cache.hashed() == many);
}

TEST_CASE("subjects whose last digits differ share the table: half as many as it has places mostly stay") {
  subject_cache cache;
  constexpr std::size_t half = subject_cache::places / 2;
  const auto ask_all = [&cache] {
    for (std::size_t i = 0; i < half; ++i) (void)cache.find("9:client_ip9:10.0." + std::to_string(i));
  };
  ask_all();
  const std::uint64_t first = cache.hashed();
  ask_all();
  CHECK(cache.hashed() - first <
        half / 3);  // 26 % share their places with two others when the spread is random
}

TEST_CASE("a cache that most subjects pass through rests, and remembers again when they come back") {
  subject_cache cache;
  const auto hashes_of_two_questions = [&cache] {
    const std::uint64_t before = cache.hashed();
    for (int i = 0; i < 2; ++i) (void)cache.find("4:user3:ann");
    return cache.hashed() - before;
  };
  for (std::size_t i = 0; i < 4 * subject_cache::places; ++i)
    (void)cache.find("9:client_ip" + std::to_string(i));
  std::size_t passed = 0;
  while (hashes_of_two_questions() == 2) ++passed;  // until the rest ends
  CHECK(passed > 0);
  CHECK(passed <= subject_cache::round * subject_cache::rounds_of_rest / 2);
  CHECK(hashes_of_two_questions() == 0);
}
