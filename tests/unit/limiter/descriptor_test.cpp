// SPDX-License-Identifier: Apache-2.0
#include "limiter/descriptor.hpp"

#include "limiter/request_attributes.hpp"
#include "limiter/rule.hpp"
#include "limiter/sha256.hpp"

#include <doctest/doctest.h>
#include <map>
#include <random>
#include <utility>
#include <vector>

using namespace weir::limiter;

namespace {

std::string subject_of(std::vector<std::string_view> selectors, const request_attributes& request) {
  std::vector<selector> key;
  for (const auto text : selectors) key.push_back(parse_selector(text).value());
  std::string scratch;
  subject_key subject;
  return describe(key, request, scratch, subject) ? std::string(subject.view()) : "(none)";
}

std::string name_of(std::vector<std::string_view> selectors, const request_attributes& request) {
  std::vector<selector> key;
  for (const auto text : selectors) key.push_back(parse_selector(text).value());
  const auto name = readable_name(key, request);
  return name ? *name : "(hash)";
}

}  // namespace

TEST_CASE("SHA-256 gives the published digests") {
  const auto base64 = [](std::string_view text) {
    std::array<char, 43> out;
    encode_base64url(sha256(text), out);
    return std::string(out.begin(), out.end());
  };
  CHECK(base64("") == "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU");
  CHECK(base64("abc") == "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0");
}

TEST_CASE("an entry is the length and bytes of the selector, then of the value") {
  std::string encoding;
  append_descriptor_entry(encoding, "client_ip", "192.0.2.1");
  append_descriptor_entry(encoding, "constant:x", "");
  CHECK(encoding == "9:client_ip9:192.0.2.110:constant:x0:");
}

TEST_CASE("a subject is the first 16 bytes of the digest of its encoding") {
  CHECK(hash_subject("abc").view() == "ungWv48Bz-pBQUDeXa4iIw");
  request_attributes request;
  request.client_ip = "192.0.2.1";
  CHECK(subject_of({"client_ip"}, request) == hash_subject("9:client_ip9:192.0.2.1").view());
}

TEST_CASE("no two lists of values encode alike, whatever bytes they hold") {
  const std::string alphabet = std::string("0123:_{}\r\n%", 11) + '\0';
  std::mt19937 random(2);
  std::map<std::string, std::vector<std::string>> seen;
  for (int i = 0; i < 20000; ++i) {
    std::vector<std::string> values(1 + random() % 3);
    std::string encoding;
    for (auto& value : values) {
      for (auto n = random() % 4; n > 0; --n) value += alphabet[random() % alphabet.size()];
      append_descriptor_entry(encoding, "user", value);
    }
    const auto [place, is_new] = seen.emplace(encoding, values);
    if (!is_new) REQUIRE(place->second == values);
  }
}

TEST_CASE("where one value ends and the next begins makes another subject") {
  request_attributes one;
  one.user = "a_b";
  one.route = "c";
  request_attributes other;
  other.user = "a";
  other.route = "b_c";
  CHECK(subject_of({"user", "route"}, one) != subject_of({"user", "route"}, other));
  CHECK(subject_of({"user", "route"}, one) != subject_of({"route", "user"}, one));
}

TEST_CASE("values that differ only in the last of 3000 bytes are different subjects") {
  const std::string a = std::string(2999, 'x') + 'a';
  const std::string b = std::string(2999, 'x') + 'b';
  request_attributes request;
  request.user = a;
  const std::string first = subject_of({"user"}, request);
  request.user = b;
  CHECK(first != subject_of({"user"}, request));
}

TEST_CASE("a selector without a value leaves the key without a subject") {
  request_attributes request;
  request.client_ip = "192.0.2.1";
  CHECK(subject_of({"client_ip", "user"}, request) == "(none)");
}

TEST_CASE("two decoded query values in one key do not overwrite each other") {
  request_attributes request;
  request.query = "a=%31&b=%32";
  CHECK(subject_of({"query:a", "query:b"}, request) == hash_subject("7:query:a1:17:query:b1:2").view());
}

TEST_CASE("a rule id is four characters and three digits of the hash of the name") {
  // SHA-256("abc") = ba7816bf..., and 0xba7816bf = 3128432319
  const rule_id rid = make_rule_id("abc");
  CHECK(rid.text() == "ungW");
  CHECK(rid.digits_text() == "319");
  CHECK(make_rule_id("per-ip") != make_rule_id("per-user"));
}

TEST_CASE("the digits of a rule id keep their leading zeros") {
  int with_zero = 0;
  for (int i = 0; i < 200; ++i) {
    const rule_id rid = make_rule_id("rule-" + std::to_string(i));
    for (const char c : rid.digits_text()) CHECK((c >= '0' && c <= '9'));
    if (rid.digits[0] == '0') ++with_zero;
  }
  CHECK(with_zero > 5);
}

TEST_CASE("a readable name holds the selectors and their values") {
  request_attributes request;
  request.client_ip = "2001:db8::1";
  request.user = "a b,c=d{}%";
  CHECK(name_of({"client_ip"}, request) == "client_ip=2001:db8::1");
  CHECK(name_of({"client_ip", "user"}, request) == "client_ip=2001:db8::1,user=a%20b%2Cc%3Dd%7B%7D%25");
  CHECK(name_of({"user", "query:x"}, request) == "(hash)");
  CHECK(name_of({}, request) == "(hash)");
}

TEST_CASE("a name of more than 64 bytes is the hash") {
  request_attributes request;
  const std::string longest(64 - std::string_view("user=").size(), 'x');
  request.user = longest;
  CHECK(name_of({"user"}, request) == "user=" + longest);
  const std::string longer = longest + 'x', escaped = longest.substr(2) + '\0', huge(100'000, '%');
  request.user = longer;
  CHECK(name_of({"user"}, request) == "(hash)");
  request.user = escaped;
  CHECK(name_of({"user"}, request) == "(hash)");
  request.user = huge;
  CHECK(name_of({"user"}, request) == "(hash)");
}

TEST_CASE("no two descriptors read alike, nor like a hash") {
  const std::string alphabet = std::string("a_:{}\r\n%,=", 10) + '\0';
  std::mt19937 random(3);
  std::map<std::string, std::pair<std::string, std::string>> seen;
  for (int i = 0; i < 20000; ++i) {
    std::string user = "u", route = "r";
    for (auto n = random() % 4; n > 0; --n) user += alphabet[random() % alphabet.size()];
    for (auto n = random() % 4; n > 0; --n) route += alphabet[random() % alphabet.size()];
    request_attributes request;
    request.user = user;
    request.route = route;
    const std::string name = name_of({"user", "route"}, request);
    CHECK(name.find_first_of("{}\r\n") == std::string::npos);
    CHECK(name.find('=') != std::string::npos);
    const auto [place, is_new] = seen.emplace(name, std::pair(user, route));
    if (!is_new) REQUIRE(place->second == std::pair(user, route));
  }
}
