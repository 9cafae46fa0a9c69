// SPDX-License-Identifier: Apache-2.0
#include "limiter/algorithms/algorithm.hpp"
#include "limiter/algorithms/sliding_window_log.hpp"
#include "limiter/algorithms/token_bucket.hpp"

#include <cstddef>

namespace weir::limiter {
namespace {

// In the order of the enumeration. A new algorithm gets a line here.
constexpr std::array<algorithm_functions, 2> registry{{
    {algorithm::token_bucket, "token_bucket", 't', false, token_bucket::to_parameters, token_bucket::evaluate,
     token_bucket::conclude},
    {algorithm::sliding_window_log, "sliding_window_log", 'l', true, sliding_window_log::to_parameters,
     sliding_window_log::evaluate, sliding_window_log::conclude},
}};

}  // namespace

const algorithm_functions& functions_of(algorithm a) noexcept {
  return registry[static_cast<std::size_t>(a)];
}

std::optional<algorithm> parse_algorithm(std::string_view name) noexcept {
  for (const algorithm_functions& row : registry) {
    if (row.name == name) return row.id;
  }
  return std::nullopt;
}

}  // namespace weir::limiter
