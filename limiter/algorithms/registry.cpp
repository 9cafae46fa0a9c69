// SPDX-License-Identifier: Apache-2.0
#include "limiter/algorithms/algorithm.hpp"
#include "limiter/algorithms/calendar_window.hpp"
#include "limiter/algorithms/concurrency.hpp"
#include "limiter/algorithms/fixed_window.hpp"
#include "limiter/algorithms/sliding_window_counter.hpp"
#include "limiter/algorithms/sliding_window_log.hpp"
#include "limiter/algorithms/token_bucket.hpp"

#include <cstddef>

namespace weir::limiter {
namespace {

// In the order of the enumeration. A new algorithm gets a line here.
constexpr std::array<algorithm_functions, 5> registry{{
    {algorithm::token_bucket, "token_bucket", 't', 0, token_bucket::to_parameters, token_bucket::evaluate,
     nullptr, token_bucket::conclude},
    {algorithm::fixed_window, "fixed_window", 'f', 0, fixed_window::to_parameters, fixed_window::evaluate,
     fixed_window::began, fixed_window::conclude},
    {algorithm::sliding_window_counter, "sliding_window_counter", 'c', 0,
     sliding_window_counter::to_parameters, sliding_window_counter::evaluate, sliding_window_counter::began,
     sliding_window_counter::conclude},
    {algorithm::sliding_window_log, "sliding_window_log", 'l', 'l', sliding_window_log::to_parameters,
     sliding_window_log::evaluate, sliding_window_log::began, sliding_window_log::conclude},
    {algorithm::concurrency, "concurrency", 's', 'c', concurrency::to_parameters, concurrency::evaluate,
     nullptr, concurrency::conclude},
}};

constexpr algorithm_functions calendar{algorithm::fixed_window,
                                       "fixed_window",
                                       'k',
                                       0,
                                       calendar_window::to_parameters,
                                       calendar_window::evaluate,
                                       calendar_window::began,
                                       calendar_window::conclude};

}  // namespace

const algorithm_functions& functions_of(const quota& q) noexcept {
  if (q.calendar != calendar_unit::none) return calendar;
  return registry[static_cast<std::size_t>(q.algorithm)];
}

std::optional<algorithm> parse_algorithm(std::string_view name) noexcept {
  for (const algorithm_functions& row : registry) {
    if (row.name == name) return row.id;
  }
  return std::nullopt;
}

}  // namespace weir::limiter
