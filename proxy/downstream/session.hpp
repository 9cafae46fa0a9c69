// SPDX-License-Identifier: Apache-2.0
// One downstream connection: accept -> read -> identify -> decide -> forward -> respond -> record, again and
// again.
#pragma once

#include "proxy/decide/own_answer.hpp"
#include "proxy/decide/own_response.hpp"
#include "proxy/downstream/active_request.hpp"
#include "proxy/downstream/client_channel.hpp"
#include "proxy/downstream/connection_places.hpp"
#include "proxy/downstream/tunnel.hpp"
#include "proxy/http/error_response.hpp"
#include "proxy/identity/address.hpp"
#include "proxy/retry/forward.hpp"
#include "proxy/tls/context.hpp"
#include "proxy/tls/peer_names.hpp"

#include <exception>
#include <functional>
#include <memory>
#include <string>

namespace weir::proxy {

class session;

/// What sessions of one listener share; outlives the listener while it has sessions.
struct listener_context {
  std::string name;
  std::string port;  ///< text, for X-Forwarded-Port; empty for unix sockets
  // What follows a reload replaces; connections that are open keep what they began with.
  std::shared_ptr<const tls::server_context> tls;  ///< null: plain
  proxy_protocol_settings proxy_protocol;
  std::optional<http::emitter_list> emitters;  ///< of rate-limit fields; absent: deny.headers
  listener_counters* counters = nullptr;
  bool closed = false;  ///< a reload took the listener away: its connections end as in a drain
};

/// The worker's sessions. Owns them; a session leaves by destroying itself through the graveyard.
class session_set {
 public:
  explicit session_set(request_pool& requests) : requests_(requests) {}
  session& add(std::unique_ptr<session> s);
  void remove(session& s, graveyard& dead);
  [[nodiscard]] std::size_t size() const noexcept { return sessions_.size(); }
  [[nodiscard]] request_pool& requests() noexcept { return requests_; }
  /// Calls `f` for every session there was when it began; `f` may remove the session it is given.
  void for_each(const std::function<void(session&)>& f);

 private:
  request_pool& requests_;
  std::vector<std::unique_ptr<session>> sessions_;
};

/// A state machine that moves when its sockets, its timer, the limiter or an upstream say so. Lives on one
/// worker. An exception out of any of these ends this session alone.
class session final : public ready_handler,
                      public mortal,
                      private timer,
                      private decision_listener,
                      private slots::slot_waiter,
                      private forward_owner,
                      private yielding {
 public:
  session(services& worker, session_set& owner, std::shared_ptr<const listener_context> listener,
          connection_places::place place);
  ~session() override;

  /// Takes over an accepted, non-blocking socket. False: it could not be registered; the session must be
  /// discarded.
  [[nodiscard]] bool open(int fd, const identity::address& peer, std::string peer_text) noexcept;

  /// The process or the listener drains: an idle connection leaves when it is its turn, a busy one after its
  /// response.
  void drain();
  [[nodiscard]] bool came_by(const listener_context& listener) const noexcept {
    return listener_.get() == &listener;
  }
  /// The drain deadline: whatever is in flight is cut. True: a request was that should have ended by itself,
  /// as a tunnel need not.
  bool cut();

  void on_ready(std::uint32_t events) override;

 private:
  friend class session_set;
  enum class stage : std::uint8_t {
    proxy_header,
    handshake,
    idle,
    head,
    deciding,
    waiting,  // for a slot
    forwarding,
    tunnelling,
    answering,
    draining_body,
    lingering,
    closed
  };

  void on_timer() override;
  [[nodiscard]] turn_queue* line_for_event() noexcept;
  [[nodiscard]] bool waits_for_us() const noexcept;
  void on_decision() override;
  void on_slot_free() override;
  void on_forward_event() override;
  void on_turn() override;
  void write_request_head(const endpoint_settings& target) override;
  http::framing write_response_head() override;

  /// Runs `work` and then everything that became possible; the session boundary for exceptions.
  template <typename Work>
  void guarded(Work&& work);
  void run();
  void schedule();
  [[nodiscard]] std::int64_t deadline_us() const noexcept;

  // stages: true = another step may follow at once
  [[nodiscard]] bool step();
  [[nodiscard]] bool read_proxy_header();
  [[nodiscard]] bool shake_hands();
  [[nodiscard]] bool wait_for_request();
  [[nodiscard]] bool read_head();
  [[nodiscard]] bool on_head();
  [[nodiscard]] bool on_identified();
  [[nodiscard]] bool ask_for_slots();
  [[nodiscard]] bool ask_limiter();
  [[nodiscard]] bool after_decision();
  [[nodiscard]] bool wait_for_slot();
  [[nodiscard]] bool drive_forward();
  [[nodiscard]] bool send_answer();
  [[nodiscard]] bool drain_body();
  [[nodiscard]] bool linger();

  // before the first request (session_open.cpp)
  void start_tls();
  [[nodiscard]] bool no_proxy_header();
  [[nodiscard]] bool no_handshake(listener_counters::handshake_result why);
  void begin_request();
  [[nodiscard]] bool refuse_head();
  [[nodiscard]] bool long_body_left() const noexcept;
  [[nodiscard]] response_frame begin_answer(std::string_view reason, bool close);
  void spread_waits();
  void add_limit_fields();
  [[nodiscard]] bool answer_options();
  [[nodiscard]] bool answer(http::local_error error, std::string_view reason, bool close);
  [[nodiscard]] bool answer_denied();
  [[nodiscard]] bool answer(const own_answer& what);
  [[nodiscard]] bool finish_request();
  [[nodiscard]] bool client_left() noexcept;
  void abandon(int status, std::string_view reason);
  void fail_internal(const std::exception& error) noexcept;
  void count_decision();
  void settle(bool complete);

  // after a 101 (session_tunnel.cpp)
  [[nodiscard]] bool start_tunnel();
  [[nodiscard]] bool drive_tunnel();
  [[nodiscard]] bool end_tunnel(tunnel::progress how);
  void note_tunnel();
  [[nodiscard]] std::int64_t tunnel_deadline_us() const noexcept;

  // limits on requests at the same time (session_slots.cpp)
  [[nodiscard]] const limiter::charge* line_in_front() const;
  [[nodiscard]] bool queue_up(const limiter::charge& wanted);
  [[nodiscard]] bool slot_refused();
  [[nodiscard]] bool answer_no_slot(concurrency_counters::reject_reason why, std::int64_t retry_after_us);
  void got_slots();
  void count_in_flight(int change);
  void leave_line();
  void release_slots() noexcept;
  [[nodiscard]] concurrency_counters& counters_of(const limiter::rule& limit);
  void record();
  void write_log_line(std::int64_t wall_us, std::int64_t duration_us);
  void end_request() noexcept;
  void close() noexcept;
  [[nodiscard]] std::string_view buffer() const noexcept { return channel_.in.all(); }
  [[nodiscard]] const settings& config() const noexcept { return *request_->config->settings; }
  [[nodiscard]] bool leaving() const noexcept { return worker_.leaving || listener_->closed; }
  [[nodiscard]] bool draining() const noexcept { return worker_.draining || listener_->closed; }

  static constexpr std::size_t drain_limit = 64 * 1024;  ///< body bytes dropped to keep a connection
  static constexpr std::int64_t drain_patience_us = 1'000'000;
  static constexpr std::size_t linger_limit = 4 * 1024 * 1024;
  static constexpr std::int64_t linger_patience_us = 2'000'000;

  services& worker_;
  session_set& owner_;
  const std::shared_ptr<const listener_context> listener_;
  connection_places::place place_;
  client_channel channel_;
  identity::address peer_;
  std::string peer_text_;
  std::unique_ptr<const identity::peer_names> certificate_;  ///< of the client, verified; null: none
  std::unique_ptr<active_request> request_;
  std::unique_ptr<forward> forward_;  // made for the first forwarded request, then reused
  std::unique_ptr<tunnel> tunnel_;    // after a 101
  std::int64_t since_us_ = 0;         // when the stage began, or last progress
  std::size_t dropped_bytes_ = 0;     // in draining_body and lingering
  std::uint32_t requests_ = 0;
  std::uint32_t position_ = 0;  // in the set
  stage stage_ = stage::idle;
  bool close_after_ = false;  // the response said Connection: close
  bool reset_after_ = false;  // the client must not take what it got for complete
  bool in_step_ = false;      // a callback inside run() must not run again
};

}  // namespace weir::proxy
