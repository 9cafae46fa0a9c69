// SPDX-License-Identifier: Apache-2.0
// Two different endpoints by weighted chance, then the one with less load. Close to least_requests in effect,
// but workers that do not know each other's load do not all run to the same endpoint.
#include "proxy/upstream/balancers/weighted.hpp"

namespace weir::proxy {
namespace {

class random_two final : public balancer {
 public:
  std::size_t pick(std::span<const endpoint_view> endpoints, const lot& by) override {
    const eligibility eligible(endpoints);
    const std::size_t first = pick_weighted(endpoints, static_cast<std::uint32_t>(by.random >> 32),
                                            [&](std::size_t i) { return eligible(endpoints[i]); });
    const std::size_t second =
        pick_weighted(endpoints, static_cast<std::uint32_t>(by.random),
                      [&](std::size_t i) { return i != first && eligible(endpoints[i]); });
    if (second == endpoints.size()) return first;
    return less_loaded(endpoints[second], endpoints[first]) ? second : first;
  }
};

}  // namespace

std::unique_ptr<balancer> make_random_two() {
  return std::make_unique<random_two>();
}

}  // namespace weir::proxy
