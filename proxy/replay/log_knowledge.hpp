// SPDX-License-Identifier: Apache-2.0
// Which values of a request a log tells, for one policy.
#pragma once

#include "limiter/rule.hpp"
#include "proxy/replay/replayable.hpp"

#include <optional>
#include <string_view>

namespace weir::replay {

/// Both must outlive it. Each answer is why the thing asked about is not known; nothing: it is.
class log_knowledge {
 public:
  log_knowledge(const proxy::settings& policy, const log_contents& log) : policy_(policy), log_(log) {}

  /// The value of a selector, as far as it tells keys apart.
  [[nodiscard]] std::optional<unknown> lack_of(const limiter::selector& s) const;
  /// The value itself, to be compared with those a policy names. Users that are logged as hashes are known
  /// if the policy's values can be hashed alike.
  [[nodiscard]] std::optional<unknown> lack_of_text(const limiter::selector& s) const;
  /// The value itself, to be looked up among the digests of a file.
  [[nodiscard]] std::optional<unknown> lack_of_values(const limiter::selector& s) const;
  [[nodiscard]] std::optional<unknown> lack_of(const limiter::request_match& match) const;
  /// Everything the rule asks of a request and of its response.
  [[nodiscard]] std::optional<unknown> lack_of(const limiter::rule& rule) const;
  [[nodiscard]] std::optional<unknown> lack_of_user() const;

  /// True when the log's users are keyed hashes.
  [[nodiscard]] bool users_are_hashes() const noexcept;
  /// Adds, for every user that `match` names, the hash by which the log names it.
  void translate_users(limiter::request_match& match) const;

 private:
  [[nodiscard]] std::optional<unknown> lack_of_tier() const;
  [[nodiscard]] std::optional<unknown> lack_of_header(std::string_view name) const;
  [[nodiscard]] std::optional<unknown> lack_of_query(std::string_view name) const;
  [[nodiscard]] std::optional<unknown> lack_of_cost(const limiter::rule& rule) const;
  [[nodiscard]] unknown not_logged(std::string_view what, std::string_view variable) const;

  const proxy::settings& policy_;
  const log_contents& log_;
};

}  // namespace weir::replay
