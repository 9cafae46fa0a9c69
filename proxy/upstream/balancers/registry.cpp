// SPDX-License-Identifier: Apache-2.0
#include "proxy/upstream/balancers/weighted.hpp"

namespace weir::proxy {

std::unique_ptr<balancer> make_balancer(balance_method method) {
  switch (method) {
    case balance_method::random_two:
      return make_random_two();
    case balance_method::round_robin:
      return make_round_robin();
    case balance_method::least_requests:
      return make_least_requests();
    case balance_method::client_hash:
      return make_client_hash();
  }
  return make_random_two();  // not reached: the switch is complete
}

}  // namespace weir::proxy
