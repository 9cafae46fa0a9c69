// SPDX-License-Identifier: Apache-2.0
// What the balancers share: eligibility, weighted choice, comparison of loads.
#pragma once

#include "proxy/upstream/balancers/balancer.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace weir::proxy {

/// Which endpoints may be chosen: those of the best standing there is.
class eligibility {
 public:
  explicit eligibility(std::span<const endpoint_view> endpoints) noexcept {
    for (const endpoint_view& e : endpoints) best_ = std::min(best_, e.standing);
  }
  [[nodiscard]] bool operator()(const endpoint_view& e) const noexcept { return e.standing == best_; }

 private:
  standing best_ = standing::out;
};

/// True when `a` carries less per weight than `b`.
[[nodiscard]] inline bool less_loaded(const endpoint_view& a, const endpoint_view& b) noexcept {
  return std::uint64_t{a.in_flight} * static_cast<std::uint64_t>(b.weight) <
         std::uint64_t{b.in_flight} * static_cast<std::uint64_t>(a.weight);
}

/// Index of an endpoint for which `candidate(index)` holds, with a probability by weight; `random` is uniform
/// over 32 bits. `endpoints.size()` when there is no candidate.
template <typename Candidate>
[[nodiscard]] std::size_t pick_weighted(std::span<const endpoint_view> endpoints, std::uint32_t random,
                                        Candidate candidate) {
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    if (candidate(i)) total += static_cast<std::uint64_t>(endpoints[i].weight);
  }
  std::uint64_t rest = (random * total) >> 32;  // uniform in [0, total)
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    if (!candidate(i)) continue;
    const auto weight = static_cast<std::uint64_t>(endpoints[i].weight);
    if (rest < weight) return i;
    rest -= weight;
  }
  return endpoints.size();
}

// One maker per file of this folder; registry.cpp lists them.
[[nodiscard]] std::unique_ptr<balancer> make_random_two();
[[nodiscard]] std::unique_ptr<balancer> make_round_robin();
[[nodiscard]] std::unique_ptr<balancer> make_least_requests();
[[nodiscard]] std::unique_ptr<balancer> make_client_hash();

}  // namespace weir::proxy
