// SPDX-License-Identifier: Apache-2.0
// A rule: one quota on one partition key.
#pragma once

#include "limiter/override_list.hpp"
#include "limiter/quota.hpp"
#include "limiter/request_match.hpp"
#include "limiter/selectors/selector.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::limiter {

/// Whether a rule denies what is over its limit, only says what it would deny, or is not applied at all.
enum class rule_mode : std::uint8_t { enforce, shadow, disabled };

/// What a rule answers while the store is unavailable.
enum class failure_mode : std::uint8_t { allow, deny, local };

/// Where a rule's units are decided: every request in the store, in leases of units taken from it, or in each
/// process for itself.
enum class sharing_mode : std::uint8_t { strict, balanced, local };

/// What happens when a selector of `key` has no value in this request.
enum class on_missing : std::uint8_t { skip, deny, fallback };

/// Which RateLimit fields a rule shows to clients.
enum class header_visibility : std::uint8_t { visible, retry_after, hidden };

/// Name of a rule inside a stored value: `id` = 4 characters of the hash of the rule name, `digits` = 3
/// decimal digits of the same hash (the compact form). Two rules with one id in one policy are a load error.
struct rule_id {
  std::array<char, 4> id{};
  std::array<char, 3> digits{};
  [[nodiscard]] std::string_view text() const noexcept { return {id.data(), id.size()}; }
  [[nodiscard]] std::string_view digits_text() const noexcept { return {digits.data(), digits.size()}; }
  friend bool operator==(const rule_id& a, const rule_id& b) noexcept {  // no call of memcmp for seven bytes
    return std::bit_cast<std::uint32_t>(a.id) == std::bit_cast<std::uint32_t>(b.id) &&
           a.digits[0] == b.digits[0] && a.digits[1] == b.digits[1] && a.digits[2] == b.digits[2];
  }
};

/// id from a name: SHA-256 of the name, 24 bits base64url, digits = first 32 bits mod 1000.
[[nodiscard]] rule_id make_rule_id(std::string_view rule_name) noexcept;

/// Where a key of a rule stands among 100, 0 ... 99, by a hash that never changes: with `enforce_percent: P`
/// the keys below P are enforced. All processes agree, and a larger P only adds keys.
[[nodiscard]] int percentile_of(const rule_id& rid, std::string_view subject) noexcept;

/// Cost named by the client: a header or query parameter, clamped to min ... max; garbage counts as max.
struct cost_source {
  std::string header{};  ///< lower case; empty when `query` is set
  std::string query{};
  std::int64_t min = 1;
  std::int64_t max = 1;
  friend bool operator==(const cost_source&, const cost_source&) = default;
};

/// Reserve, forward, settle: the cost is known only from the response.
struct response_cost {
  enum class source : std::uint8_t { header, json_pointer, request_bytes, response_bytes, both_bytes };
  std::int64_t reserve = 0;  ///< units taken before forwarding, 0 ... max
  source actual = source::response_bytes;
  std::string name{};           ///< header (lower case) or JSON pointer (RFC 6901)
  std::int64_t unit = 1;        ///< bytes or header/pointer units per unit of the quota, rounded up; >= 1
  std::int64_t max = 0;         ///< largest cost charged; <= capacity
  bool refund_missing = false;  ///< on_missing: refund instead of keep
  friend bool operator==(const response_cost&, const response_cost&) = default;
};

/// Only responses with one of these statuses stay charged.
struct counted_statuses {
  std::vector<int> codes;         ///< 100 ... 599
  std::array<bool, 6> classes{};  ///< [4] = 4xx
  [[nodiscard]] bool contains(int status) const noexcept {
    for (const int code : codes) {
      if (code == status) return true;
    }
    return status >= 100 && status < 600 && classes[static_cast<std::size_t>(status / 100)];
  }
  [[nodiscard]] bool empty() const noexcept {
    for (const bool listed : classes) {
      if (listed) return false;
    }
    return codes.empty();
  }
  friend bool operator==(const counted_statuses&, const counted_statuses&) = default;
};

/// A limit on requests at the same time: the quota's limit are slots, its period is their lease.
struct slot_limit {
  std::uint32_t queue = 0;            ///< requests that may wait for a slot, per key and process; 0 = none
  std::int64_t queue_timeout_us = 0;  ///< longest wait
  bool this_process = false;          ///< `scope: local`: counted in this process, never in the store
  int status = 503;                   ///< 429 or 503: what a request without a slot is answered
  friend bool operator==(const slot_limit&, const slot_limit&) = default;
};

/// What requests of one tier are allowed.
struct tier_quota {
  std::string tier;
  allowance allowed;
  friend bool operator==(const tier_quota&, const tier_quota&) = default;
};

/// Parameters of one rule. Immutable after load, shared by all workers.
struct rule {
  std::string name;  ///< [a-z][a-z0-9-]{0,63}
  rule_id rid;
  limiter::quota quota;  ///< of keys without an override and a tier; the algorithm is that of all keys
  bool unlimited =
      false;  ///< such keys are not counted at all, and of `quota` only the algorithm means something
  std::vector<tier_quota> tiers;
  std::shared_ptr<const override_list> overrides;  ///< stand before the tiers; null = none
  std::uint32_t index = 0;                         ///< position in the policy file; the metric slot
  request_match match;
  std::vector<selector> key;  ///< 1 ... 8
  on_missing missing = on_missing::skip;
  std::vector<selector> fallback;  ///< used when missing == fallback
  std::int64_t cost_default = 1;   ///< 0 ... capacity
  std::vector<std::pair<std::string, std::int64_t>> cost_by_route;
  limiter::failure_mode failure_mode = limiter::failure_mode::local;
  header_visibility headers = header_visibility::visible;
  rule_mode mode = rule_mode::enforce;
  int enforce_percent = 100;    ///< 0 ... 100 of 100 keys are enforced, the others are shadow
  std::int64_t penalty_us = 0;  ///< > 0: the first denial of a key blocks it so long
  int status = 0;               ///< of a denial by this rule; 0 = that of all denials
  sharing_mode sharing = sharing_mode::strict;
  std::optional<cost_source> cost_from;
  std::optional<limiter::response_cost> response_cost;  ///< not together with cost_from, cost or count
  counted_statuses count;                               ///< empty = every admitted request stays charged

  std::optional<slot_limit> slots;  ///< a limit of `concurrency`, not of `rules`

  /// True when units may come back after the decision.
  [[nodiscard]] bool settles() const noexcept { return response_cost.has_value() || !count.empty(); }
  /// True when some keys may be denied.
  [[nodiscard]] bool enforced() const noexcept { return mode == rule_mode::enforce && enforce_percent > 0; }
  /// True when this key is only watched.
  [[nodiscard]] bool shadows(std::string_view subject) const noexcept {
    if (mode != rule_mode::enforce) return true;
    return enforce_percent < 100 && percentile_of(rid, subject) >= enforce_percent;
  }

  friend bool operator==(const rule&, const rule&) = default;
};

}  // namespace weir::limiter
