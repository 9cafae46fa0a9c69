// SPDX-License-Identifier: Apache-2.0
// What one decision of the embedded store costs: one thread, 100,000 keys in random order.
//   build/release/memory_store_bench
#include "limiter/stores/memory_store.hpp"

#include <array>
#include <benchmark/benchmark.h>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace {

using namespace weir::limiter;

constexpr std::size_t keys = 100'000;

rule make_rule(std::string name, quota q) {
  rule r;
  r.rid = make_rule_id(name);
  r.name = std::move(name);
  r.quota = q;
  return r;
}

const std::vector<subject_key>& subjects() {
  static const std::vector<subject_key> all = [] {
    std::vector<subject_key> made(keys);
    for (std::size_t i = 0; i < keys; ++i) made[i] = hash_subject("user " + std::to_string(i));
    return made;
  }();
  return all;
}

/// One request per iteration that `rules` rules of one subject decide.
void decide(benchmark::State& state, quota q, std::size_t rules) {
  std::vector<rule> all;
  all.reserve(rules);
  for (std::size_t i = 0; i < rules; ++i) all.push_back(make_rule("rule-" + std::to_string(i), q));
  memory_table table({});
  std::vector<charge> charges(rules);
  for (std::size_t i = 0; i < rules; ++i) charges[i].matched = &all[i];
  std::vector<charge> next = charges;
  const auto aim = [](std::vector<charge>& at, const subject_key& subject) {
    for (charge& c : at) c.subject = subject;
  };
  std::minstd_rand random(1);
  store_reply reply;
  for (const subject_key& subject : subjects()) {
    aim(charges, subject);
    table.execute(operation::take, charges, reply);
  }
  for (auto _ : state) {
    aim(next,
        subjects()[random() % keys]);  // early: to fetch the name of a random key is no part of a decision
    table.execute(operation::take, charges, reply);
    benchmark::DoNotOptimize(reply.now_us);
    charges.swap(next);
  }
}

constexpr quota never_denies{algorithm::token_bucket, 1'000'000, 1'000'000, 1'000'000};
constexpr quota mostly_denies{algorithm::token_bucket, 1, 3'600'000'000, 1};
constexpr quota counter{algorithm::sliding_window_counter, 1'000'000, 60'000'000, 1'000'000};
constexpr quota window{algorithm::fixed_window, 1'000'000, 60'000'000, 1'000'000};
constexpr quota log_of_100{algorithm::sliding_window_log, 100, 60'000'000, 100};

BENCHMARK_CAPTURE(decide, token_bucket_admits, never_denies, std::size_t{1});
BENCHMARK_CAPTURE(decide, token_bucket_denies, mostly_denies, std::size_t{1});
BENCHMARK_CAPTURE(decide, token_bucket_of_four_rules, never_denies, std::size_t{4});
BENCHMARK_CAPTURE(decide, sliding_window_counter, counter, std::size_t{1});
BENCHMARK_CAPTURE(decide, fixed_window, window, std::size_t{1});
BENCHMARK_CAPTURE(decide, sliding_window_log, log_of_100, std::size_t{1});

}  // namespace

BENCHMARK_MAIN();
