// SPDX-License-Identifier: Apache-2.0
#include "proxy/identity/keyed_hash.hpp"

#include <doctest/doctest.h>
#include <string>

using namespace weir;
using namespace weir::identity;

namespace {

hash_key key_of(unsigned char last) {
  hash_key key{};
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<unsigned char>(i);
  key.back() = last;
  return key;
}

limiter::subject_key subject_of(std::string_view text) {
  limiter::subject_key subject;
  text.copy(subject.text.data(), subject.text.size());
  return subject;
}

}  // namespace

TEST_CASE("a hash is the first half of one AES-256 block of the subject") {
  // printf 0123456789abcdef | openssl enc -aes-256-ecb -nopad -K 000102…1e1f
  keyed_hasher hashes(key_of(0x1f));
  const auto text = to_hex(hashes.of(subject_of("0123456789abcdefghijkl")));
  CHECK(std::string(text.data(), text.size()) == "d8c95758e3353e53");
}

TEST_CASE("a user is called as the partition of a rule whose key is the user alone") {
  keyed_hasher hashes(key_of(0x1f));
  CHECK(hashes.of_user("ann") == hashes.of(limiter::hash_subject("4:user3:ann")));
  CHECK(hashes.of_user("ann") != hashes.of_user("bob"));
  std::string text;
  append_user_hash(text, key_of(0x1f), "ann");
  const auto digits = to_hex(hashes.of_user("ann"));
  CHECK(text == std::string(digits.data(), digits.size()));
}

TEST_CASE("another key makes other hashes, and one hasher repeats its own") {
  keyed_hasher hashes(key_of(0x1f));
  keyed_hasher others(key_of(0x20));
  const auto first = hashes.of_user("ann");
  CHECK(others.of_user("ann") != first);
  CHECK(hashes.of_user("bob") != first);
  CHECK(hashes.of_user("ann") == first);
}
