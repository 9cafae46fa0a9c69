// SPDX-License-Identifier: Apache-2.0
// One request over one leased connection: sends head and body, receives the response, relays its body.
// Everything moves in bounded windows: a side that does not take its bytes stops the other from being read.
#pragma once

#include "proxy/downstream/active_request.hpp"
#include "proxy/downstream/client_channel.hpp"
#include "proxy/runtime/services.hpp"
#include "proxy/upstream/connection.hpp"

#include <cstdint>
#include <string>

namespace weir::proxy {

class exchange {
 public:
  enum class progress : std::uint8_t {
    pending,         ///< waits for a socket
    yield,           ///< more could be moved at once: resume() again after others had their turn
    head_ready,      ///< the final response head is in request.response; accept() or drop()
    switched,        ///< a 101 that grants request.upgrade is in request.response; take_switched()
    complete,        ///< everything was relayed
    reset,           ///< closed before a complete response head
    bad_response,    ///< the response head is refused
    aborted,         ///< the response broke off after its head had been accepted
    client_gone,     ///< the client closed or reset
    body_malformed,  ///< the request body is not what its framing says
    body_too_large,
  };

  exchange(services& worker, client_channel& client) : worker_(worker), client_(client) {}

  /// Starts an attempt: request.to_upstream holds the serialised head. `replay` are body bytes an earlier
  /// attempt consumed; new ones are added to it while it has room for `replay_limit` bytes.
  void begin(upstream_lease lease, active_request& request, std::string& replay, std::size_t replay_limit);

  /// Forgets the request before: nothing was accepted, everything can be sent again.
  void reset() noexcept {
    accepted_ = false;
    replayable_ = true;
  }

  /// Moves whatever can be moved now.
  [[nodiscard]] progress resume();

  /// The response goes to the client: request.to_client.text holds the rewritten head.
  void accept(http::framing towards_client);

  /// Hands the connection over behind its 101, which is consumed.
  [[nodiscard]] upstream_lease take_switched() noexcept;

  /// Returns the connection to its pool if it may serve again, else closes it.
  void finish() noexcept;
  /// Closes the connection.
  void drop() noexcept { lease_.drop(); }

  [[nodiscard]] bool active() const noexcept { return static_cast<bool>(lease_); }
  /// What the offsets of request.response refer to; valid until accept().
  [[nodiscard]] std::string_view response_buffer() const noexcept { return lease_->in.all(); }
  [[nodiscard]] bool accepted() const noexcept { return accepted_; }
  [[nodiscard]] bool upload_done() const noexcept { return upload_done_; }
  [[nodiscard]] bool request_bytes_written() const noexcept { return request_->to_upstream.total() > 0; }
  [[nodiscard]] bool connection_was_reused() const noexcept { return lease_ && lease_->reused(); }
  /// False when body bytes were consumed that `replay` does not hold.
  [[nodiscard]] bool replayable() const noexcept { return replayable_; }

  // When each side last moved, for the idle deadlines.
  [[nodiscard]] std::int64_t upload_started_us() const noexcept { return upload_started_us_; }
  [[nodiscard]] std::int64_t client_read_us() const noexcept { return client_read_us_; }
  [[nodiscard]] std::int64_t upload_done_us() const noexcept { return upload_done_us_; }
  [[nodiscard]] std::int64_t upstream_read_us() const noexcept { return upstream_read_us_; }
  [[nodiscard]] bool waits_for_client_write() const noexcept { return !request_->to_client.empty(); }
  [[nodiscard]] std::int64_t client_write_us() const noexcept { return client_write_us_; }

 private:
  [[nodiscard]] progress upload();
  [[nodiscard]] bool next_upload_part(progress& problem);
  void queue_upload(std::string_view data);
  [[nodiscard]] progress receive_head();
  [[nodiscard]] progress on_interim();
  [[nodiscard]] progress on_switch() const noexcept;
  [[nodiscard]] progress relay();
  [[nodiscard]] bool take_response_slice();
  /// It took more than the kernel alone would hold: a large window is not wasted on it.
  [[nodiscard]] bool client_reads() const noexcept { return request_->bytes_out >= reader_proof; }
  void queue_response(std::string_view data);
  [[nodiscard]] progress flush_client();

  static constexpr int max_interim = 16;
  static constexpr std::uint64_t reader_proof = 256 * 1024;
  static constexpr int max_windows_per_turn = 8;  ///< body windows moved before other sessions get their turn
  static constexpr std::size_t max_response_head = 32 * 1024;

  services& worker_;
  client_channel& client_;
  upstream_lease lease_;
  active_request* request_ = nullptr;
  std::string* replay_ = nullptr;
  std::size_t replay_limit_ = 0;
  body_reader response_body_;
  http::framing towards_client_ = http::framing::none;
  int interim_ = 0;
  bool replay_pending_ = false;
  bool replayable_ = true;
  bool continue_pending_ = false;
  bool upload_done_ = false;
  bool upload_broken_ = false;
  bool accepted_ = false;
  bool response_done_ = false;
  std::int64_t upload_started_us_ = 0, client_read_us_ = 0, upload_done_us_ = 0;
  std::int64_t upstream_read_us_ = 0, client_write_us_ = 0;
  std::int64_t keep_alive_us_ = -1;  // what the upstream promised for the connection; -1 = nothing
};

}  // namespace weir::proxy
