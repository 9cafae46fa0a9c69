// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/pack_call.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace weir::limiter;
using redis::pack_answer;
using words = std::vector<std::string>;

constexpr std::int64_t now_us = 1'800'000'000'000'000;

rule rule_of(const std::string& name, quota q) {
  rule r;
  r.name = name;
  r.rid = make_rule_id(name);
  r.quota = q;
  return r;
}

const rule plain = rule_of("plain", {algorithm::token_bucket, 100, 1'000'000, 50});
const rule other = rule_of("other", {algorithm::token_bucket, 10, 1'000'000, 3});
const rule thirds = rule_of("thirds", {algorithm::token_bucket, 3, 1'000'000, 3});
const rule window = rule_of("window", {algorithm::fixed_window, 9, 60'000'000, 9});

charge charge_of(const rule& r, char subject, std::int64_t cost = 1) {
  charge c{.matched = &r, .subject = {}, .cost = cost};
  c.subject.text.fill(subject);
  return c;
}

bool is_brief(const std::vector<charge>& charges) {
  return redis::pack_form_of(charges).brief;
}

words words_of(const std::vector<std::vector<charge>>& decisions) {
  const std::vector<std::span<const charge>> views(decisions.begin(), decisions.end());
  std::string out;
  redis::append_pack(out, "sha", "rl:", views);
  words all;
  for (std::size_t at = out.find('$'); at != std::string::npos; at = out.find('$', at)) {
    const std::size_t size = std::stoul(out.substr(at + 1));
    at = out.find("\r\n", at) + 2;
    all.push_back(out.substr(at, size));
    at += size;
  }
  CHECK(out.starts_with("*" + std::to_string(all.size()) + "\r\n"));
  return all;
}

store_reply read(const std::vector<charge>& charges, const std::vector<std::int64_t>& integers,
                 pack_answer wanted = pack_answer::decided) {
  store_reply reply;
  CHECK(redis::parse_packed(now_us, integers, redis::pack_form_of(charges), charges, reply) == wanted);
  return reply;
}

}  // namespace

TEST_CASE("a pack names the arguments of equal requests once") {
  const words all = words_of({{charge_of(plain, 'a')},
                              {charge_of(plain, 'b')},
                              {charge_of(plain, 'c', 2)},
                              {charge_of(plain, 'a')}});
  CHECK(words(all.begin(), all.begin() + 3) == words{"EVALSHA", "sha", "4"});
  CHECK(all[3] == "rl:1:{" + std::string(22, 'a') + "}");
  CHECK(all[7] == "AABA");
  const std::string name = std::string(plain.rid.text()) + std::string(plain.rid.digits_text());
  CHECK(words(all.begin() + 8, all.end()) ==
        words{"2", "b", "1", "9", "1",    "take", "1", "t", "1",  name, "1", "1",     "10000", "500000",
              "b", "1", "9", "1", "take", "1",    "t", "1", name, "2",  "1", "10000", "500000"});
}

TEST_CASE("requests over as many keys in another order have another shape") {
  const words all = words_of({{charge_of(plain, 'a'), charge_of(other, 'a')},
                              {charge_of(plain, 'b'), charge_of(other, 'b')},
                              {charge_of(plain, 'a'), charge_of(other, 'b')}});
  CHECK(all[2] == "4");
  CHECK(all[7] == "AAB");
}

TEST_CASE("a pack tells marked charges to the driver") {
  charge watched = charge_of(plain, 'a');
  watched.shadow = true;
  const words all = words_of({{watched}});
  CHECK(all[6] == "a");
  CHECK(all[12] == "T");
}

TEST_CASE("buckets without fractions are answered briefly, all else as by a call of its own") {
  CHECK(is_brief({charge_of(plain, 'a')}));
  CHECK(is_brief({charge_of(plain, 'a', 0)}));
  CHECK(is_brief({charge_of(plain, 'a'), charge_of(other, 'a'), charge_of(plain, 'b')}));
  CHECK_FALSE(is_brief({charge_of(plain, 'a'), charge_of(plain, 'b'), charge_of(other, 'a')}));
  CHECK_FALSE(is_brief({charge_of(plain, 'a', 0), charge_of(other, 'a')}));
  CHECK_FALSE(is_brief({charge_of(thirds, 'a')}));
  CHECK_FALSE(is_brief({charge_of(plain, 'a'), charge_of(window, 'a')}));
  charge watched = charge_of(plain, 'a');
  watched.shadow = true;
  CHECK_FALSE(is_brief({watched}));
  rule punishing = plain;
  punishing.penalty_us = 1;
  CHECK_FALSE(is_brief({charge_of(punishing, 'a')}));
  const rule vast = rule_of("vast", {algorithm::token_bucket, 1, std::int64_t{1} << 51, 2});
  CHECK_FALSE(is_brief({charge_of(vast, 'a')}));
  CHECK(redis::pack_reply_size(redis::pack_form_of(std::vector{charge_of(plain, 'a')})) == 1);
  CHECK(redis::pack_reply_size(redis::pack_form_of(std::vector{charge_of(window, 'a')})) == 6);
}

TEST_CASE("a brief answer becomes the numbers of a whole one") {
  const std::vector<charge> both{charge_of(plain, 'a', 2), charge_of(other, 'a')};
  const store_reply passed = read(both, {20'000, 150'000});
  CHECK(passed.now_us == now_us);
  CHECK(passed.admitted == 1);
  CHECK(passed.states[0].remaining == 48);
  CHECK(passed.states[0].reset_after_us == 20'000);
  CHECK(passed.states[0].used == 20'000);
  CHECK(passed.states[1].remaining == 1);

  const store_reply denied = read(both, {499'999, -1 - 250'000});
  CHECK(denied.admitted == 0);
  CHECK(denied.states[0].allowed);
  CHECK(denied.states[0].remaining == 0);
  CHECK_FALSE(denied.states[1].allowed);
  CHECK(denied.states[1].retry_after_us == 50'000);
  CHECK(denied.states[1].remaining == 0);
  CHECK(denied.states[1].reset_after_us == 250'000);

  CHECK(read({charge_of(other, 'a', 4)}, {-1}).states[0].retry_after_us == -1);
  CHECK(read({charge_of(other, 'a', 0)}, {0}).states[0].remaining == 3);
}

TEST_CASE("brief answers that cannot be are refused, and failures are told") {
  read({charge_of(plain, 'a')}, {500'001}, pack_answer::malformed);
  read({charge_of(plain, 'a')}, {-1 - 500'001}, pack_answer::malformed);
  read({charge_of(plain, 'a')}, {-1}, pack_answer::malformed);  // denies what fits
  read({charge_of(plain, 'a')}, {-(std::int64_t{1} << 53)}, pack_answer::failed);
  read({charge_of(window, 'a')}, std::vector<std::int64_t>(6, -(std::int64_t{1} << 53)), pack_answer::failed);
  read({charge_of(window, 'a')}, {1, 1, 8, 0, 5, 1});
  read({charge_of(window, 'a')}, {2, 1, 8, 0, 5, 1}, pack_answer::malformed);
}
