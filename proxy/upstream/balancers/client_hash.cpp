// SPDX-License-Identifier: Apache-2.0
// Weighted rendezvous hashing (Thaler, Ravishankar 1998; weights after Schindelhauer, Schomaker 2005): every
// client ranks all endpoints and takes the first that is eligible. Removing an endpoint moves its clients
// only, spread over the others by weight, and adding one takes only its share; processes agree without
// talking.
#include "proxy/upstream/balancers/weighted.hpp"

#include <cmath>

namespace weir::proxy {
namespace {

/// The finaliser of splitmix64: every bit of the input reaches every bit of the result.
std::uint64_t mix(std::uint64_t z) noexcept {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

/// The lowest wins. -ln(u) / weight with u uniform in (0, 1): the first of exponential clocks of these rates.
double rank(const endpoint_view& e, std::uint64_t client) noexcept {
  const std::uint64_t hash = mix(client ^ mix(e.identity));
  const double u = (static_cast<double>(hash >> 11) + 0.5) * 0x1p-53;
  return -std::log(u) / e.weight;
}

class client_hash final : public balancer {
 public:
  std::size_t pick(std::span<const endpoint_view> endpoints, const lot& by) override {
    const eligibility eligible(endpoints);
    std::size_t best = endpoints.size();
    double best_rank = 0;
    for (std::size_t i = 0; i < endpoints.size(); ++i) {
      if (!eligible(endpoints[i])) continue;
      const double own = rank(endpoints[i], by.client);
      if (best != endpoints.size() && own >= best_rank) continue;
      best = i;
      best_rank = own;
    }
    return best;
  }
};

}  // namespace

std::unique_ptr<balancer> make_client_hash() {
  return std::make_unique<client_hash>();
}

}  // namespace weir::proxy
