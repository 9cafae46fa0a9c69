// SPDX-License-Identifier: Apache-2.0
// nginx' limit_req_zone and limit_conn_zone, and the variables that are their keys.
#pragma once

#include "config/convert/nginx_syntax.hpp"
#include "config/convert/policy_draft.hpp"

#include <map>
#include <string>
#include <vector>

namespace weir::config {

struct nginx_zone {
  std::vector<std::string> key;  ///< selectors; empty: not known to weir
  bool can_be_absent = false;
  std::string rate;  ///< "5/second"; empty: of connections
  int line = 0;
  notes about;
};

class nginx_zones {
 public:
  /// Notes go to `draft`, which outlives it.
  explicit nginx_zones(policy_draft& draft) : draft_(draft) {}

  /// A `map` or `geo` with the variable that it sets: the selector of its first value that is one stands for
  /// it. Goes before the zones.
  void read_map(const nginx_directive& d);
  void read_zone(const nginx_directive& d);
  /// Null: it is not defined in the file.
  [[nodiscard]] const nginx_zone* find(const std::string& name) const;

 private:
  void read_key(nginx_zone& z, std::string text);

  policy_draft& draft_;
  std::map<std::string, nginx_zone> zones_;
  std::map<std::string, std::string> maps_;
};

}  // namespace weir::config
