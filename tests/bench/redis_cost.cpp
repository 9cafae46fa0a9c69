// SPDX-License-Identifier: Apache-2.0
// What decisions cost a real Redis: its CPU time per call (32 calls in flight) and its memory per key.
//   redis-server --port 0 --unixsocket /tmp/cost.sock --save '' & build/release/redis_cost
//   unix:/tmp/cost.sock
// Empties the database it is given.
#include "limiter/redis/pack_call.hpp"
#include "lua/scripts.hpp"
#include "tests/support/redis_client.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fmt/format.h>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace weir::limiter;
using weir::tests::redis_client;

constexpr std::size_t calls = 65'536;
constexpr std::size_t depth = 32;
constexpr std::size_t keys = calls;  // a power of two: the tables of Redis are full, none is half empty

std::string info(redis_client& redis, std::string_view section, const std::string& field) {
  const auto reply = redis.command({"INFO", section});
  const std::string text(reply->str, reply->len);
  const auto at = text.find("\n" + field + ":");
  if (at == std::string::npos) throw std::runtime_error("INFO has no " + field);
  const auto begin = at + field.size() + 2;
  return text.substr(begin, text.find('\r', begin) - begin);
}

double cpu_us(redis_client& redis) {
  return 1e6 * (std::atof(info(redis, "cpu", "used_cpu_user").c_str()) +
                std::atof(info(redis, "cpu", "used_cpu_sys").c_str()));
}

rule make_rule(std::size_t number, quota q) {
  rule r;
  r.name = "rule-" + std::to_string(number);
  r.rid = make_rule_id(r.name);
  r.quota = q;
  return r;
}

/// Decisions over `rules` rules; `subjects_per_call` different subjects share them out.
struct workload {
  std::string name;
  quota each;
  std::size_t rules = 1;
  std::size_t subjects_per_call = 1;
  std::size_t distinct = keys;  ///< subjects in all
  std::int64_t cost = 1;
  std::size_t packed = 1;  ///< requests in one call; divides `depth`
};

std::vector<charge> charges_of(const workload& w, const std::vector<rule>& rules, std::size_t call) {
  std::vector<charge> charges(w.rules);
  for (std::size_t i = 0; i < w.rules; ++i) {
    const std::size_t subject = (call * w.subjects_per_call + i % w.subjects_per_call) % w.distinct;
    charges[i].matched = &rules[i];
    charges[i].cost = w.cost;
    charges[i].subject = hash_subject("subject " + std::to_string(subject));
  }
  return charges;
}

void run(redis_client& redis, std::span<const std::string> batches, std::size_t commands) {
  for (const std::string& batch : batches) {
    for (std::size_t i = 0; i < commands; ++i) {
      const auto reply = redis.exchange(i == 0 ? std::string_view(batch) : std::string_view());
      if (reply->type == REDIS_REPLY_ERROR) throw std::runtime_error(std::string(reply->str, reply->len));
    }
  }
}

void measure(redis_client& redis, const workload& w) {
  std::vector<rule> rules;
  for (std::size_t i = 0; i < w.rules; ++i) rules.push_back(make_rule(i, w.each));
  std::vector<std::string> batches(calls / depth);
  std::vector<std::vector<charge>> charges;
  for (std::size_t call = 0; call < calls; ++call) charges.push_back(charges_of(w, rules, call));
  for (std::size_t call = 0; call < calls; call += w.packed) {
    std::string& batch = batches[call / depth];
    if (w.packed == 1) {
      redis::append_decide(batch, "EVALSHA", weir::lua::decide_sha1(), "rl:", operation::take, charges[call]);
      continue;
    }
    std::vector<std::span<const charge>> pack(charges.begin() + static_cast<std::ptrdiff_t>(call),
                                              charges.begin() + static_cast<std::ptrdiff_t>(call + w.packed));
    redis::append_pack(batch, weir::lua::pack_sha1(), "rl:", pack);
  }
  const std::size_t commands = depth / w.packed;
  redis.command({"FLUSHALL"});
  const double empty = std::atof(info(redis, "memory", "used_memory").c_str());
  run(redis, batches, commands);
  const double full = std::atof(info(redis, "memory", "used_memory").c_str());
  const auto size = redis.command({"DBSIZE"});
  const double before = cpu_us(redis);
  run(redis, batches, commands);
  const double cost = (cpu_us(redis) - before) / calls;
  const double bytes = size->integer > 0 ? (full - empty) / static_cast<double>(size->integer) : 0;
  fmt::print("{:<44}{:>8.2f} us{:>10.0f} B/key\n", w.name, cost, bytes);
  std::fflush(stdout);
}

const quota bucket{algorithm::token_bucket, 1, 3'600'000'000, 1'000};
const quota slow_bucket{algorithm::token_bucket, 7, 3'600'000'000, 7'000};
const quota exhausted{algorithm::token_bucket, 1, 86'400'000'000, 1};
const quota log_of_100{algorithm::sliding_window_log, 100, 3'600'000'000, 100};

}  // namespace

int main(int count, char** words) {
  if (count != 2) {
    fmt::print(stderr, "usage: redis_cost unix:PATH | redis://HOST:PORT\n");
    return 64;
  }
  try {
    redis_client redis(words[1]);
    redis.command({"SCRIPT", "LOAD", weir::lua::decide_script()});
    redis.command({"SCRIPT", "LOAD", weir::lua::pack_script()});
    for (const workload& w : std::vector<workload>{
             {"token_bucket, compact", bucket},
             {"  the same, 8 requests in a call", bucket, 1, 1, keys, 1, 8},
             {"  the same, 32 requests in a call", bucket, 1, 1, keys, 1, 32},
             {"token_bucket, with a fraction", slow_bucket},
             {"token_bucket, denied", exhausted, 1, 1, 100},
             {"token_bucket, 4 rules of one subject", bucket, 4},
             {"  the same, 8 requests in a call", bucket, 4, 1, keys, 1, 8},
             {"  the same, 32 requests in a call", bucket, 4, 1, keys, 1, 32},
             {"  the same with fractions", slow_bucket, 4},
             {"token_bucket, 4 rules of 4 subjects", bucket, 4, 4},
             {"sliding_window_log of 100", log_of_100, 1, 1, 4096, 10},
         }) {
      measure(redis, w);
    }
    redis.command({"FLUSHALL"});
  } catch (const std::exception& error) {
    fmt::print(stderr, "redis_cost: {}\n", error.what());
    return 1;
  }
  return 0;
}
