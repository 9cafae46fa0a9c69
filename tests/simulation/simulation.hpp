// SPDX-License-Identifier: Apache-2.0
// Discrete events: N processes, each with the product's sharing_store, before one simulated store.
#pragma once

#include "limiter/limiter.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace weir::simulation {

enum class technique : std::uint8_t {
  sync,             ///< every request asks the store by itself
  sync_cache,       ///< ... unless it is known to be denied
  coalesced_cache,  ///< one batch in flight per process, equal requests are one evaluation
  balanced,         ///< coalesced, and units are leased
};

struct scenario {
  std::string name;
  technique how = technique::sync;
  int processes = 1;
  limiter::quota quota;
  int keys = 4;
  double zipf = 0;        ///< exponent of the keys' popularity; 0 = uniform
  bool skewed = false;    ///< processes get Zipf(1) shares of the traffic
  double rate = 200'000;  ///< requests per second, all processes
  double seconds = 10;
  double refunds = 0;  ///< share of admitted requests that are given back after 5 ms
  std::uint64_t seed = 1;
};

/// What was measured. Rates are per simulated second.
struct outcome {
  double calls = 0, evaluations = 0;
  double admitted_of_ideal = 0;  ///< on keys that are over their limit
  double burst = 0;              ///< largest admitted - rate * window over all windows and keys, in bursts
  double held_at_end = 0;        ///< leased units, in bursts
  double local_share = 0;        ///< requests that waited for no call
  double p50_us = 0, p99_us = 0;
  std::int64_t requests = 0, admitted = 0, ideal = 0;
  std::int64_t denied_from_cache = 0;
  std::int64_t wrong_denials = 0;  ///< from the cache, where the store would have allowed
  std::int64_t unexplained_denials =
      0;  ///< of them, those without a refund in the last 100 ms and a round trip
};

[[nodiscard]] outcome run(const scenario& s);

}  // namespace weir::simulation
