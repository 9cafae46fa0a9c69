// SPDX-License-Identifier: Apache-2.0
// What a policy would have done to all requests of a log, in numbers.
#pragma once

#include "proxy/replay/denied_keys.hpp"
#include "proxy/replay/judgement.hpp"
#include "proxy/replay/logged_request.hpp"
#include "proxy/replay/rate_meter.hpp"
#include "proxy/replay/time_chart.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace weir::replay {

struct rule_tally {
  std::string name;
  std::uint64_t matched = 0;  ///< requests it was asked about
  std::uint64_t denied = 0;   ///< of these it would have denied
  std::uint64_t shadow = 0;   ///< of these it would have denied if it were enforced
  std::int64_t first_us = 0;  ///< of what it would have denied, shadow included; 0 = nothing
  std::int64_t last_us = 0;
};

/// How the replay compares with what the log's proxy decided.
struct agreement {
  std::uint64_t both_denied = 0;
  std::uint64_t only_log = 0;     ///< denied there, not here
  std::uint64_t only_replay = 0;  ///< the other way round
};

class tally {
 public:
  explicit tally(const std::vector<std::string>& rules);

  /// `name(i)`: the text to show for the key of charge i; asked once for each key that was denied.
  template <class Name>
  void add(const judgement& j, logged_decision logged, std::int64_t time_us, Name name) {
    count(j, logged, time_us);
    for (std::size_t i = 0; i < j.charges.size(); ++i) {
      const judged_charge& c = j.charges[i];
      if (c.over) keys_.add(c.rule, c.subject, [&] { return name(i); });
    }
  }

  [[nodiscard]] const std::vector<rule_tally>& rules() const noexcept { return rules_; }
  [[nodiscard]] std::uint64_t requests() const noexcept { return requests_; }
  [[nodiscard]] std::uint64_t of(fate f) const noexcept { return fates_[static_cast<std::size_t>(f)]; }
  [[nodiscard]] std::uint64_t without_user() const noexcept { return without_user_; }
  [[nodiscard]] std::int64_t first_us() const noexcept { return first_us_; }
  [[nodiscard]] std::int64_t last_us() const noexcept { return last_us_; }
  [[nodiscard]] const agreement& log_agrees() const noexcept { return agreement_; }
  [[nodiscard]] const denied_keys& keys() const noexcept { return keys_; }
  /// Row 0: requests; row 1: denied ones; then what each rule would have denied.
  [[nodiscard]] const time_chart& chart() const noexcept { return chart_; }

 private:
  void count(const judgement& j, logged_decision logged, std::int64_t time_us);
  void count_rule(rule_tally& rule, bool shadow, std::int64_t time_us);

  std::vector<rule_tally> rules_;
  std::array<std::uint64_t, 5> fates_{};
  std::uint64_t requests_ = 0;
  std::uint64_t without_user_ = 0;  // a route demands one
  std::int64_t first_us_ = 0;
  std::int64_t last_us_ = 0;
  agreement agreement_;
  denied_keys keys_;
  time_chart chart_;
};

}  // namespace weir::replay
