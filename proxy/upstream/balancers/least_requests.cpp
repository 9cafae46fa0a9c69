// SPDX-License-Identifier: Apache-2.0
// The endpoint with the fewest requests in flight per weight; equals share by weighted chance.
#include "proxy/upstream/balancers/weighted.hpp"

namespace weir::proxy {
namespace {

class least_requests final : public balancer {
 public:
  std::size_t pick(std::span<const endpoint_view> endpoints, const lot& by) override {
    const eligibility eligible(endpoints);
    const endpoint_view* least = nullptr;
    for (const endpoint_view& e : endpoints) {
      if (eligible(e) && (least == nullptr || less_loaded(e, *least))) least = &e;
    }
    return pick_weighted(endpoints, static_cast<std::uint32_t>(by.random >> 32), [&](std::size_t i) {
      return eligible(endpoints[i]) && !less_loaded(*least, endpoints[i]);
    });
  }
};

}  // namespace

std::unique_ptr<balancer> make_least_requests() {
  return std::make_unique<least_requests>();
}

}  // namespace weir::proxy
