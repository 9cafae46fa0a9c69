// SPDX-License-Identifier: Apache-2.0
// Smooth weighted round robin: weights 2 and 1 give a b a a b a, never a burst to one endpoint.
#include "proxy/upstream/balancers/weighted.hpp"

#include <vector>

namespace weir::proxy {
namespace {

class round_robin final : public balancer {
 public:
  std::size_t pick(std::span<const endpoint_view> endpoints, const lot&) override {
    if (credits_.size() != endpoints.size()) credits_.assign(endpoints.size(), 0);  // the upstream changed
    const eligibility eligible(endpoints);
    std::int64_t total = 0;
    std::size_t best = endpoints.size();
    for (std::size_t i = 0; i < endpoints.size(); ++i) {
      if (!eligible(endpoints[i])) continue;  // earns nothing meanwhile, so it is not flooded afterwards
      credits_[i] += endpoints[i].weight;
      total += endpoints[i].weight;
      if (best == endpoints.size() || credits_[i] > credits_[best]) best = i;
    }
    credits_[best] -= total;
    return best;
  }

 private:
  std::vector<std::int64_t> credits_;
};

}  // namespace

std::unique_ptr<balancer> make_round_robin() {
  return std::make_unique<round_robin>();
}

}  // namespace weir::proxy
