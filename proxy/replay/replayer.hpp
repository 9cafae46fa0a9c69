// SPDX-License-Identifier: Apache-2.0
// Sends the requests of a log through a policy, in virtual time.
#pragma once

#include "proxy/offline/evaluator.hpp"
#include "proxy/replay/judgement.hpp"
#include "proxy/replay/reorder_window.hpp"
#include "proxy/replay/replayable.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace weir::replay {

/// Admitted requests whose final cost is settled when they end; beyond, the one that ends first is settled
/// early.
inline constexpr std::size_t max_unsettled = 16384;

/// One policy. Requests must come in the order of their arrival.
class replayer {
 public:
  replayer(const proxy::settings& policy, const log_contents& log);

  /// Decides the request at its arrival, after everything that ended before was settled by its logged status
  /// and bytes. A request that the log's proxy refused got no response: when it is admitted here, what was
  /// reserved for it stays charged.
  /// `line` must live as long as the judgement is asked for key names.
  [[nodiscard]] const judgement& judge(const held_line& line);

  /// The key of a charge of the last judgement, to be shown: addresses, names of routes and the like as they
  /// are, values that clients chose as keyed hashes.
  [[nodiscard]] std::string key_name(std::size_t charge) const;

  [[nodiscard]] const replayable_policy& policy() const noexcept { return policy_; }
  [[nodiscard]] std::vector<std::string> rule_names() const;
  [[nodiscard]] const limiter::rule& rule(std::uint32_t number) const {
    return policy_.settings->policy.rules()[number];
  }

 private:
  using evaluated = proxy::offline::evaluated_request;
  struct unsettled {
    std::int64_t end_us;
    std::uint64_t number;  // of the line
    std::unique_ptr<evaluated> request;
    proxy::offline::described_response response;
  };

  void describe(const logged_request& line);
  void describe_client(const logged_request& line);
  void describe_headers(const logged_request& line);
  void read_decision();
  void settle_until(std::int64_t now_us);
  void settle_first(std::int64_t at_us);
  void keep_until_end(const held_line& line);
  static bool ends_later(const unsettled& a, const unsettled& b) noexcept;

  replayable_policy policy_;
  proxy::offline::evaluator evaluator_;
  std::unique_ptr<evaluated> request_;  // for the next judgement
  const evaluated* judged_ = nullptr;   // the last one
  std::vector<std::unique_ptr<evaluated>> spare_;
  std::vector<unsettled> unsettled_;  // a heap, the first to end in front
  proxy::offline::described_request described_;
  proxy::offline::given_identity identity_;
  std::vector<proxy::offline::header_line> headers_;
  std::string target_;
  judgement judgement_;
};

}  // namespace weir::replay
