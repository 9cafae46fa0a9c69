// SPDX-License-Identifier: Apache-2.0
// What would happen to a running process, and to the clients it counts, if it took this file over.
#pragma once

#include "config/load.hpp"
#include "limiter/policy_change.hpp"

#include <string>
#include <vector>

namespace weir::config {

struct rule_outlook {
  std::string name;
  limiter::rule_fate fate = limiter::rule_fate::kept;
  std::string why;                   ///< of a reset
  std::string before, after;         ///< the rule in words; empty where it is not there
  std::vector<std::string> remarks;  ///< what happens to a client in the middle
};

struct outlook {
  std::string old_name;                 ///< of the file that runs
  std::string hash_before, hash_after;  ///< as in the log of a reload
  std::vector<rule_outlook> rules;      ///< then the limits of `concurrency`
  std::vector<problem> problems;        ///< E0406: it would be refused; W0401: a rule starts empty
};

/// Both loaded without errors.
[[nodiscard]] outlook compare(const load_result& old, const load_result& next);

/// "kept", "changed", "reset", "new", "removed"
[[nodiscard]] std::string_view fate_name(limiter::rule_fate fate) noexcept;

/// What a changed quota makes of what a client has used; nothing to say of a quota that is the same.
/// "who has used 50 of 100 is then at 100 of 200: the time until the bucket is full carries over"
[[nodiscard]] std::string carried_over(const limiter::quota& before, const limiter::quota& after);

/// A block of lines for people.
[[nodiscard]] std::string outlook_in_words(const outlook& what);

}  // namespace weir::config
