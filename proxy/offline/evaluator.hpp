// SPDX-License-Identifier: Apache-2.0
// What the proxy would decide: the same head scanner, identity, lists, rules and limiter as in a session, on
// a store in memory and a clock that the caller moves. No socket, no thread; nothing is allocated per request
// once its buffers have grown.
#pragma once

#include "limiter/stores/memory_store.hpp"
#include "proxy/decide/limited_request.hpp"
#include "proxy/decide/own_answer.hpp"
#include "proxy/identity/address.hpp"
#include "proxy/observe/access_record.hpp"
#include "proxy/settle/cost_meter.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir::proxy::offline {

/// A field line; neither part holds a line break.
struct header_line {
  std::string_view name;
  std::string_view value;
};

/// Views of `headers`, names and values.
[[nodiscard]] std::vector<header_line> lines_of(
    const std::vector<std::pair<std::string, std::string>>& headers);

/// What identity would have found, for whoever has no token or key at hand. Goes before the policy's sources.
struct given_identity {
  std::optional<std::string> user{};  ///< not empty
  std::optional<std::string> tier{};  ///< not empty
  std::vector<std::pair<std::string, std::string>>
      claims{};  ///< of a verified token; empty: as the head says
};

/// Views live until the request was settled or decided anew.
struct described_request {
  std::string_view method = "GET";
  std::string_view target = "/";        ///< as on the request line: `/path?query`, `http://host/path`, `*`
  std::string_view host = "localhost";  ///< empty: `headers` hold it
  std::span<const header_line> headers{};
  identity::address peer{};  ///< who connects: the client, or a proxy in front
  const given_identity* given = nullptr;
};

struct described_response {
  int status = 200;  ///< 200 ... 599
  std::span<const header_line> headers{};
  std::string_view body{};
  std::uint64_t request_bytes = 0;   ///< of the request's body
  std::uint64_t response_bytes = 0;  ///< of a body that is not at hand; else its size counts
  bool complete = true;
};

/// Appends the head of `response`, as an upstream would send it.
void append_head(std::string& out, const described_response& response);

class evaluator;

/// One request after another. Must go before its evaluator.
class evaluated_request final : public limited_request {
 public:
  record_decision verdict = record_decision::rejected;
  std::string_view reason{};                 ///< as in the log; empty: none
  int status = 0;                            ///< of weir's own answer; 0 = it is forwarded
  std::optional<http::local_error> error{};  ///< which answer; none: forwarded, or OPTIONS ends here
  std::optional<limiter::permit> permit{};   ///< of an allowed request, until it is settled

  [[nodiscard]] bool forwarded() const noexcept { return status == 0; }
  /// The rule that refused it, or the closest one of an allowed request; null: none was asked.
  [[nodiscard]] const limiter::rule* rule() const noexcept;
  /// Of that rule, after the decision; -1: the store was not asked.
  [[nodiscard]] std::int64_t remaining() const noexcept;
  /// How long a denied client has to wait, in microseconds; -1: never, 0: it need not.
  [[nodiscard]] std::int64_t retry_after_us() const noexcept { return result.retry_after_us; }
  [[nodiscard]] std::string_view raw_head() const noexcept { return raw_; }
  [[nodiscard]] const identity::address& peer() const noexcept { return peer_; }
  [[nodiscard]] std::int64_t decided_us() const noexcept { return decided_us_; }  ///< Unix time
  [[nodiscard]] bool gave_user() const noexcept { return given_ != nullptr && given_->user; }
  [[nodiscard]] bool gave_tier() const noexcept { return given_ != nullptr && given_->tier; }

  [[nodiscard]] std::optional<std::string_view> claim(std::string_view name) const override;

 private:
  friend class evaluator;
  void on_decision() override {}  // the store answers inside decide()
  void start(const compiled_policy& policy, const described_request& described);

  std::string raw_;
  std::string raw_response_;
  identity::address peer_;
  std::string peer_text_;
  std::string holder_;
  std::int64_t decided_us_ = 0;
  const given_identity* given_ = nullptr;
  settle::cost_meter meter_;
  http::response_head response_;
};

/// Not thread-safe; requests and times go forward.
class evaluator {
 public:
  /// `store`, which must answer inside execute(), decides instead of one in memory; it outlives the
  /// evaluator.
  explicit evaluator(std::shared_ptr<const proxy::settings> settings, limiter::store* store = nullptr);
  evaluator(const evaluator&) = delete;
  evaluator& operator=(const evaluator&) = delete;
  ~evaluator();

  /// Decides `request`, as described, at `now_us` (Unix time, never before an earlier one). An answer of
  /// weir's own is settled at once; a request that is forwarded keeps units and slots until settle().
  void decide(evaluated_request& request, const described_request& described, std::int64_t now_us);

  // The parts of decide(), for whoever lets requests wait for slots.
  /// Up to the point where the limiter is asked. False: it needs not be, `request` is answered.
  [[nodiscard]] bool prepare(evaluated_request& request, const described_request& described,
                             std::int64_t now_us);
  /// May be repeated while `no_slot` is the outcome.
  void ask(evaluated_request& request, std::int64_t now_us);
  /// Answers one that goes without a slot of `no_slot`, at once or after it `waited`.
  static void refuse_without_slot(evaluated_request& request, bool waited);

  /// The upstream answered a forwarded request.
  void settle(evaluated_request& request, const described_response& response, std::int64_t now_us);

  [[nodiscard]] const proxy::settings& settings() const noexcept { return *policy_.settings; }
  [[nodiscard]] limiter::memory_table& table() noexcept { return *table_; }

 private:
  void find_identity(evaluated_request& request) const;
  [[nodiscard]] bool identify(evaluated_request& request, const described_request& described);
  static void refuse(evaluated_request& request, record_decision verdict, const own_answer& answer);
  static void end_here(evaluated_request& request);

  std::int64_t now_us_ = 0;
  std::uint64_t holders_ = 0;
  compiled_policy policy_;
  std::shared_ptr<limiter::memory_table> table_;
  limiter::memory_store store_;
  limiter::rate_limiter limiter_;
};

}  // namespace weir::proxy::offline
