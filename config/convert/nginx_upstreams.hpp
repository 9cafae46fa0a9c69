// SPDX-License-Identifier: Apache-2.0
// nginx' upstreams and what proxy_pass names.
#pragma once

#include "config/convert/nginx_syntax.hpp"
#include "config/convert/policy_draft.hpp"

#include <map>
#include <optional>
#include <string>

namespace weir::config {

class nginx_upstreams {
 public:
  /// Upstreams and notes go to `draft`, which outlives it.
  explicit nginx_upstreams(policy_draft& draft) : draft_(draft) {}

  void read_upstream(const nginx_directive& d);
  /// The upstream that proxy_pass names; a new one for an address. Nothing: it has no fixed address.
  [[nodiscard]] std::optional<std::string> upstream_of(const nginx_directive& proxy_pass, policy_item& route);

 private:
  policy_draft& draft_;
  std::map<std::string, std::string> names_;  // name in nginx -> ours
};

}  // namespace weir::config
