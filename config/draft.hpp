// SPDX-License-Identifier: Apache-2.0
// A policy file between reading and checking: the values, what was written, and where.
#pragma once

#include "config/reporter.hpp"
#include "config/units.hpp"
#include "limiter/time_zone.hpp"
#include "proxy/settings.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace weir::config {

/// A name that refers to something else in the file.
struct reference {
  std::string name;
  place at;
};

struct store_draft {
  proxy::store_settings value;
  place url_at;
  place username_at;
  place password_at;
  bool url_has_user = false;
  bool url_has_password = false;
  std::optional<std::string> username;
  std::optional<std::string> password;
};

struct upstream_draft {
  proxy::upstream_settings value;
  place name_at;
  place at;
  bool has_url = false;
  bool has_endpoints = false;
};

struct match_draft {
  limiter::request_match value;
  std::vector<reference> routes;
};

struct route_draft {
  proxy::route_settings value;
  place name_at;
  place at;
  match_draft match;
  reference upstream;
};

struct cost_item {
  std::int64_t cost = 1;
  place at;
  reference route;  ///< name empty: the default cost
};

struct rule_draft {
  limiter::rule value;  ///< `limit`, `burst`, `cost` and `failure_mode` are filled in by the checks
  place at;
  place name_at;
  place limit_at;
  place burst_at;
  place algorithm_at;
  place timezone_at;
  place missing_at;
  place key_at;
  place fallback_at;
  match_draft match;
  std::optional<rate> limit;
  std::optional<std::int64_t> burst;
  const limiter::time_zone* timezone = nullptr;  ///< null: not written, or unknown
  std::optional<limiter::on_missing> missing;
  std::optional<limiter::failure_mode> failure_mode;
  std::vector<cost_item> costs;
  bool has_limit = false;  ///< written, if wrongly
  bool has_missing = false;
};

struct file_draft {
  std::int64_t version = 0;
  proxy::settings settings;  ///< the sections that need no further work
  std::vector<place> listener_names_at;
  store_draft store;
  place admin_at;
  place drain_at;
  place upstreams_at;
  std::vector<upstream_draft> upstreams;
  std::vector<route_draft> routes;
  std::vector<rule_draft> rules;
  bool has_routes = false;
  bool has_hash_key = false;
  bool has_trusted_proxies = false;  ///< written, even if empty
};

}  // namespace weir::config
