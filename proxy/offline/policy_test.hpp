// SPDX-License-Identifier: Apache-2.0
// A test of a policy: who asks what, how often and when, and what must come of it.
#pragma once

#include "proxy/offline/timeline.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir::proxy::offline {

inline constexpr std::int64_t requests_per_item_max = 10'000;
inline constexpr std::size_t items_per_test_max = 64;
inline constexpr std::size_t tests_max = 1000;

/// An item of `send`: `times` equal requests, spread evenly over `over`, the first at once, the last at its
/// end.
struct sending {
  std::string method = "GET";
  std::string target = "/";
  std::string host = "localhost";
  std::vector<std::pair<std::string, std::string>> headers{};
  identity::address client = identity::from_v4(0x7F000001);  ///< who connects
  std::int64_t times = 1;                                    ///< 1 ... requests_per_item_max
  std::int64_t over_us = 0;
  std::int64_t wait_us = 0;  ///< after the last request of the item before
  stated_response respond{};
};

enum class comparison : std::uint8_t { equal, less, at_most, more, at_least };

/// What a number must be.
struct bound {
  comparison how = comparison::equal;
  std::int64_t value = 0;
  [[nodiscard]] bool holds(std::int64_t actual) const noexcept;
  [[nodiscard]] bool bounds_above() const noexcept { return how <= comparison::at_most; }
};

/// What is not set may be anything. `allowed` and `denied` count the requests that reached the upstream or
/// would have (allowed, exempt), and all others; denied_by holds for every one that a rule or limit refused,
/// shadow_denied_by for every one that a shadow rule would have refused;
/// the rest speaks of the last request.
struct expectation {
  std::optional<bound> allowed{};
  std::optional<bound> denied{};
  std::optional<std::string> denied_by{};
  std::optional<std::string> shadow_denied_by{};
  std::optional<bound> status{};
  std::optional<bound> retry_after_s{};                    ///< whole seconds, rounded up, as a client is told
  std::vector<std::pair<std::string, bound>> remaining{};  ///< by rule
  std::vector<std::pair<std::string, std::string>> headers{};  ///< lower case; `*` = present
};

struct policy_test {
  std::string name{};
  int line = 0;  ///< of the file
  given_identity given{};
  std::int64_t at_us = 0;  ///< Unix time of the first request
  std::vector<sending> send{};
  expectation expect{};
};

/// One request of a test, and what became of it.
struct traced_request {
  std::size_t number = 0;     ///< from 1
  std::int64_t after_us = 0;  ///< since the test began
  std::string request{};      ///< `GET /v1/search`
  std::string client_ip{};
  std::string route{};
  record_decision verdict = record_decision::rejected;
  std::string reason{};
  int status = 0;
  std::string rule{};  ///< the refusing or the closest one; empty: none was asked
  std::int64_t retry_after_us = 0;
  struct counted {
    std::string rule;
    std::int64_t cost = 0;
    std::int64_t remaining = 0;
    bool allowed = true;
  };
  std::vector<counted> rules{};
  std::string fields{};  ///< lines of the response; of the last request of a test
};

struct unmet {
  std::string what{};  ///< `allowed`
  std::string expected{};
  std::string got{};
};

struct test_result {
  std::vector<unmet> failures{};          ///< empty: passed
  std::optional<traced_request> wrong{};  ///< the first request that was not as expected
  std::size_t requests = 0;
};

/// Runs `test` against a policy whose store is empty.
[[nodiscard]] test_result run_test(const std::shared_ptr<const settings>& policy, const policy_test& test);

/// `<=5` and the like, `suffix` behind the number.
[[nodiscard]] std::string to_text(const bound& b, std::string_view suffix = {});

}  // namespace weir::proxy::offline
