// SPDX-License-Identifier: Apache-2.0
// Carries one allowed request to an upstream: endpoint after endpoint, attempt after attempt, within one
// deadline.
#pragma once

#include "limiter/limiter.hpp"
#include "proxy/http/error_response.hpp"
#include "proxy/retry/retry_policy.hpp"
#include "proxy/upstream/exchange.hpp"
#include "proxy/upstream/upstream.hpp"

#include <boost/container/static_vector.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weir::proxy {

/// Told that forward::resume() may get further. Calls come from the worker's loop, never from inside
/// resume().
class forward_owner {
 public:
  virtual void on_forward_event() = 0;
  /// An attempt starts: fill request.to_upstream.text with the head for this endpoint.
  virtual void write_request_head(const endpoint_settings& target) = 0;
  /// The client gets this response: fill request.to_client.text with the head and say how its body is
  /// delimited.
  virtual http::framing write_response_head() = 0;

 protected:
  ~forward_owner() = default;
};

class forward final : private connection_user {
 public:
  enum class progress : std::uint8_t {
    pending,
    yield,        ///< resume() again after other sessions had their turn
    complete,     ///< the response is relayed
    switched,     ///< the upstream's 101 is in request.response: take_switched()
    failed,       ///< no response: answer error(), close_after() tells whether the connection must go
    aborted,      ///< the response broke off: close without ending it
    client_gone,  ///< status 499
  };

  forward(services& worker, client_channel& client, forward_owner& owner)
      : worker_(worker), owner_(owner), exchange_(worker, client) {}

  /// Starts; follow with resume(). The permit is the proof that the request may go; the session keeps it,
  /// since what it owes is settled by the response. `total_us` <= 0: no total deadline.
  void begin(const limiter::permit& proof, active_request& request, upstream& target, std::int64_t total_us);
  [[nodiscard]] progress resume();
  /// The client left or the process must end: gives everything back at once.
  void cancel() noexcept;

  /// The connection after `switched`; bytes behind the 101 are unread in it. Its readiness is still told by
  /// forward_owner::on_forward_event.
  [[nodiscard]] upstream_lease take_switched() noexcept { return exchange_.take_switched(); }

  /// When resume() must be called even if nothing happens.
  [[nodiscard]] std::int64_t deadline_us() const noexcept;
  [[nodiscard]] http::local_error error() const noexcept { return error_; }
  /// The client has been given a response head.
  /// What the offsets of request.response refer to, inside write_response_head().
  [[nodiscard]] std::string_view response_buffer() const noexcept { return exchange_.response_buffer(); }
  [[nodiscard]] bool response_started() const noexcept { return exchange_.accepted(); }

 private:
  enum class stage : std::uint8_t { idle, queued, connecting, connected, exchanging, backoff };

  void on_connection(upstream_lease lease) override;
  void on_connect_failed(connect_failure why) override;
  void on_upstream_ready() override { owner_.on_forward_event(); }
  [[nodiscard]] std::int64_t lease_end_us() const noexcept override { return deadline_us(); }

  [[nodiscard]] std::optional<progress> start_attempt();
  [[nodiscard]] std::optional<progress> step();
  [[nodiscard]] std::optional<progress> drive_exchange();
  [[nodiscard]] std::optional<progress> check_exchange_deadlines();
  [[nodiscard]] std::optional<progress> on_response();
  [[nodiscard]] std::optional<progress> attempt_failed(const attempt& last, http::local_error otherwise,
                                                       std::string_view reason);
  [[nodiscard]] bool plan_retry(const attempt& last, upstream_counters::retry_reason reason);
  [[nodiscard]] progress fail(http::local_error error, std::string_view reason);
  void note_refusal();
  void attempt_ended(attempt_result how);
  void leave_attempt() noexcept;
  void end_retry() noexcept;
  [[nodiscard]] std::int64_t upload_deadline_us() const noexcept;

  services& worker_;
  forward_owner& owner_;
  exchange exchange_;
  active_request* request_ = nullptr;
  upstream* upstream_ = nullptr;
  endpoint* endpoint_ = nullptr;
  std::optional<attempt_ticket> ticket_;  // of the attempt under way, until it is known how it went
  upstream_lease fresh_;                  // connected, exchange not begun
  std::string replay_;                    // request body consumed so far, while it can be sent again
  boost::container::static_vector<std::uint32_t, 11> tried_;
  stage stage_ = stage::idle;
  std::optional<connect_failure> connect_failed_;
  bool retry_granted_ = false;  // a unit of the retry budget is ours
  bool met_stale_ = false;      // connections are reused with care from now on
  http::local_error error_ = http::local_error::internal;
  std::int64_t stage_deadline_us_ = 0;
  std::int64_t total_deadline_us_ = 0;
  std::int64_t began_us_ = 0;
  std::int64_t attempt_us_ = 0;
};

}  // namespace weir::proxy
