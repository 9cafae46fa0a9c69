// SPDX-License-Identifier: Apache-2.0
// A policy file between reading and checking: the values, what was written, and where.
#pragma once

#include "config/reporter.hpp"
#include "config/units.hpp"
#include "limiter/time_zone.hpp"
#include "proxy/offline/policy_test.hpp"
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
  place topology_at, nodes_at, master_at, tls_at, cold_start_at, clock_at;  ///< line 0: not written
};

struct upstream_draft {
  proxy::upstream_settings value;
  place name_at;
  place at;
  place tls_at;  ///< line 0: not written
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

struct jwt_draft {
  identity::jwt_settings value;
  place at;
  place jwks_at, secret_at, algorithms_at;  ///< line 0: not written
  std::optional<std::string> jwks, secret;  ///< contents of the files
  std::vector<std::string> algorithms;
  bool unverified = false;
};

struct user_draft {
  proxy::user_source value;
  place at;
  int sources = 0;  ///< of header, cookie, query, claim and client_cert, how many are written
};

struct tier_draft {
  proxy::tier_source value;
  place at;
  place file_at;
  int sources = 0;                 ///< of file, claim, header and constant
  std::optional<std::string> csv;  ///< content of the file
  std::optional<limiter::selector> by;
};

/// An item of `block` or `exempt`.
struct list_draft {
  proxy::listed_requests value;
  place at;
  place file_at, by_at, match_at;  ///< line 0: not written
  match_draft match;
  std::optional<std::string> content;
};

struct cost_item {
  std::int64_t cost = 1;
  place at;
  reference route;  ///< name empty: the default cost
};

struct cost_from_draft {
  limiter::cost_source value;
  place at;
  place max_at;
  std::optional<std::int64_t> min;
  std::optional<std::int64_t> max;
  int sources = 0;  ///< of header and query, how many are written
};

struct count_draft {
  limiter::counted_statuses value;
  place at;
};

struct response_cost_draft {
  limiter::response_cost value;
  place at;
  place actual_at;
  place reserve_at;
  place max_at;
  std::optional<std::int64_t> reserve;
  std::optional<std::int64_t> max;
  int sources = 0;  ///< of header, json_pointer and bytes, how many are written
};

/// `limit` and `burst` as written, of a rule, a tier or an override.
struct quota_draft {
  place limit_at, burst_at;  ///< line 0: not written
  std::optional<rate> limit;
  std::optional<std::int64_t> burst;
  bool unlimited = false;
};

struct tier_quota_draft {
  reference tier;
  quota_draft quota;
};

struct override_draft {
  place at;
  std::string line;  ///< of a file: "line 7: ", for messages at the file's name
  std::optional<limiter::selector> from;
  std::string value;
  quota_draft quota;
  std::int64_t until_us = 0;
  std::string reason;
};

struct rule_draft {
  limiter::rule value;  ///< `limit`, `burst`, `cost` and `failure_mode` are filled in by the checks
  place at;
  place name_at;
  place algorithm_at;
  place timezone_at;
  place missing_at;
  place key_at;
  place fallback_at;
  match_draft match;
  quota_draft quota;
  std::vector<tier_quota_draft> tiers;
  std::vector<override_draft> overrides;         ///< those of the file behind the others
  place mode_at, enforce_percent_at;             ///< line 0: not written
  const limiter::time_zone* timezone = nullptr;  ///< null: not written, or unknown
  std::optional<limiter::on_missing> missing;
  std::optional<limiter::failure_mode> failure_mode;
  limiter::sharing_mode sharing = limiter::sharing_mode::strict;
  place sharing_at;
  std::vector<cost_item> costs;
  std::optional<cost_from_draft> cost_from;
  std::optional<count_draft> count;
  std::optional<response_cost_draft> response_cost;
  bool has_missing = false;
};

struct concurrency_draft {
  limiter::rule value;
  place at;
  place name_at;
  place key_at;
  match_draft match;
  std::optional<limiter::on_missing> missing;
  std::optional<limiter::failure_mode> failure_mode;
  std::int64_t max = 0;
  std::vector<std::pair<reference, std::optional<std::int64_t>>> tiers;  ///< nothing: unlimited
  std::chrono::milliseconds queue_timeout{200};
  std::chrono::milliseconds lease{30000};
  limiter::slot_limit slots;
};

struct test_draft {
  proxy::offline::policy_test value;
  place at;
  place name_at;
  std::vector<reference> rules;  ///< that `expect` names
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
  std::optional<jwt_draft> jwt;
  std::vector<user_draft> users;
  std::optional<std::vector<tier_draft>> tiers;
  std::vector<list_draft> block, exempt;
  std::vector<route_draft> routes;
  std::vector<rule_draft> rules;
  std::vector<concurrency_draft> concurrency;
  std::vector<test_draft> tests;
  bool has_routes = false;
  bool has_hash_key = false;
  bool has_trusted_proxies = false;  ///< written, even if empty
  place hops_at;
};

}  // namespace weir::config
