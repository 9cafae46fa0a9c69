// SPDX-License-Identifier: Apache-2.0
// A rule: one quota on one partition key.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "limiter/quota.hpp"
#include "limiter/selectors/selector.hpp"

namespace weir::limiter {

/// What a rule answers while the store is unavailable.
enum class failure_mode : std::uint8_t { allow, deny, local };

/// What happens when a selector of `key` has no value in this request.
enum class on_missing : std::uint8_t { skip, deny, fallback };

/// Which RateLimit fields a rule shows to clients.
enum class header_visibility : std::uint8_t { visible, retry_after, hidden };

/// Name of a rule inside a stored value: `id` = 4 characters of the hash of the rule name, `digits` = 3 decimal
/// digits of the same hash (the compact form). Two rules with one id in one policy are a load error.
struct rule_id {
  std::array<char, 4> id{};
  std::array<char, 3> digits{};
  [[nodiscard]] std::string_view text() const noexcept { return {id.data(), id.size()}; }
  [[nodiscard]] std::string_view digits_text() const noexcept { return {digits.data(), digits.size()}; }
  friend bool operator==(const rule_id&, const rule_id&) = default;
};

/// id from a name: SHA-256 of the name, 24 bits base64url, digits = first 32 bits mod 1000.
[[nodiscard]] rule_id make_rule_id(std::string_view rule_name) noexcept;

/// Which requests a rule or route speaks about. Empty list = everything; lists are ORed, members ANDed.
struct request_match {
  std::vector<std::string> methods;  ///< upper case
  std::vector<std::string> paths;    ///< templates of path_template.hpp
  std::vector<std::string> hosts;    ///< lower case, without port
  std::vector<std::string> routes;   ///< route names (rules only)
};

/// Parameters of one rule. Immutable after load, shared by all workers.
struct rule {
  std::string name;  ///< [a-z][a-z0-9-]{0,63}
  rule_id rid;
  limiter::quota quota;
  std::uint32_t index = 0;  ///< position in the policy file; the metric slot
  request_match match;
  std::vector<selector> key;       ///< 1 ... 8
  on_missing missing = on_missing::skip;
  std::vector<selector> fallback;  ///< used when missing == fallback
  std::int64_t cost_default = 1;   ///< 0 ... capacity
  std::vector<std::pair<std::string, std::int64_t>> cost_by_route;
  limiter::failure_mode failure_mode = limiter::failure_mode::local;
  header_visibility headers = header_visibility::visible;
};

}  // namespace weir::limiter
