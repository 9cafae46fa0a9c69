// SPDX-License-Identifier: Apache-2.0
// All rules of a configuration, and which of them a request must satisfy. Immutable after construction.
#pragma once

#include "limiter/decision.hpp"
#include "limiter/path_template.hpp"
#include "limiter/request_attributes.hpp"
#include "limiter/rule.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace weir::limiter {

/// Outcome of matching one request against all rules. A request that is refused has no charges.
struct match_result {
  charge_list charges;  ///< in file order
  /// Rules that matched and let this key pass uncounted: its limit is `unlimited`.
  boost::container::small_vector<const rule*, 4> unlimited;
  const rule* unauthenticated =
      nullptr;                      ///< a rule with `missing: deny` whose key has no value: deny with 401
  const rule* malformed = nullptr;  ///< a rule whose key is given several times: refuse with 400

  void clear() noexcept {
    forget(charges);
    unlimited.clear();
    unauthenticated = malformed = nullptr;
  }
};

/// A cost the client wrote: digits only, clamped to min ... max; anything else costs max. No value can reach
/// the store unchecked.
[[nodiscard]] std::int64_t clamped_cost(const cost_source& from, std::string_view value) noexcept;

/// "7 rules: 6 enforced, 1 shadow, 0 disabled". A rule that enforces some keys counts as enforced.
[[nodiscard]] std::string modes_in_words(const std::vector<rule>& rules);

class policy_set {
 public:
  /// Makes what match() keeps on this thread, see prepare_describing().
  static void prepare_thread();

  policy_set() = default;
  /// `rules` are final: index = position, rid filled in. `readable_names`: charges name their subjects.
  explicit policy_set(std::vector<rule> rules, bool readable_names = false);

  [[nodiscard]] const std::vector<rule>& rules() const noexcept { return rules_; }

  /// True when match() reads request_attributes::now_us: an override ends.
  [[nodiscard]] bool expires() const noexcept { return expires_; }

  /// Appends the charges of every rule that matches. Clears `out` first. No allocation for up to four
  /// charges.
  void match(const request_attributes& request, std::string& scratch, match_result& out) const;

 private:
  struct compiled;
  std::vector<rule> rules_;
  bool readable_names_ = false;
  bool expires_ = false;
  std::shared_ptr<const compiled> compiled_;  // no pointers into rules_: copies of this set share it
};

}  // namespace weir::limiter
