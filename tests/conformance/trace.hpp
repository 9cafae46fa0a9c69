// SPDX-License-Identifier: Apache-2.0
// Traces of decisions with their expected answers, read from JSON files.
#pragma once

#include "limiter/decision.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace weir::tests {

/// A rule as the files spell it. `quota` is empty when the algorithm is not built.
struct trace_rule {
  std::string algorithm;
  std::optional<limiter::quota> quota;
  bool shadow = false;
  std::int64_t penalty_us = 0;
};

struct expected_state {
  bool allowed = true;
  std::int64_t remaining = 0;
  std::int64_t retry_after_us = 0;
  std::int64_t reset_after_us = 0;
  std::optional<std::int64_t> granted;
};

/// `want` of an event: one state per rule; the overall fields are given for several rules only.
struct expectation {
  std::vector<expected_state> rules;
  bool allowed = true;
  std::int64_t retry_after_us = 0;
  std::vector<std::int64_t> denied_by;
};

struct trace_event {
  std::int64_t t = 0;
  std::string key;
  std::string op;
  std::string holder;               ///< concurrency: `id`
  std::vector<std::int64_t> costs;  ///< one per rule
  std::int64_t since = 0;           ///< refund: when the units were charged; 0 = unknown
  bool aged = false;
  std::vector<trace_rule> reload;  ///< not empty: an event of its own kind, without `want`
  expectation want;
};

struct trace {
  std::string file;
  std::string suite;
  std::string name;
  std::vector<std::string> tags;
  std::vector<trace_rule> rules;
  bool several_rules = false;  ///< written as `rules`
  std::vector<trace_event> events;
};

/// All traces of every *.json in `directory`, in the order of the file names. Throws std::runtime_error
/// naming the file.
std::vector<trace> read_traces(const std::filesystem::path& directory);

}  // namespace weir::tests
