// SPDX-License-Identifier: Apache-2.0
// [I/O] One Redis: the connections to it, the calls that wait for one, and the breaker that tells when it is
// better not asked. Not thread-safe: lives on one io_context.
#pragma once

#include "limiter/redis/breaker.hpp"
#include "limiter/redis/call.hpp"
#include "limiter/redis/connection.hpp"
#include "limiter/redis/counters.hpp"
#include "limiter/redis/link_age.hpp"
#include "limiter/redis/loop_turns.hpp"
#include "limiter/redis/reconnect.hpp"
#include "limiter/redis/tls_context.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/circular_buffer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace weir::limiter::redis {

class node;

/// `log(level, message)`: level is "info" or "warn".
using log_function = std::function<void(std::string_view level, std::string_view message)>;

/// What all nodes of a store share.
struct node_environment {
  node_environment(boost::asio::io_context& loop, log_function to, loop_turns around)
      : io(loop), turns(std::move(around)), log(std::move(to)) {}
  boost::asio::io_context& io;
  const loop_turns turns;
  bool in_turn = false;                     // end_turn() will come
  std::vector<std::shared_ptr<node>> full;  // nodes with calls to send at the end of the turn
  log_function log;
  redis_counters counters;
  std::minstd_rand random{std::random_device{}()};
  [[nodiscard]] double uniform() { return std::uniform_real_distribution<double>{0.0, 1.0}(random); }
};

/// Neither call comes from inside send() and neither may shut the node down while it holds calls.
class node_listener {
 public:
  /// available() may say something else than before.
  virtual void on_node_change(node& which) = 0;
  /// No connection is up: the last one was lost, or another attempt failed.
  virtual void on_node_down(node& which, errc reason) = 0;

 protected:
  ~node_listener() = default;
};

class node : public std::enable_shared_from_this<node> {
 public:
  using clock = std::chrono::steady_clock;

  /// `only_master`: a replica is refused. `dials` bounds the failed dials of all that share it; null = one
  /// bound for this address and the whole process.
  node(std::shared_ptr<node_environment> environment, std::shared_ptr<const session_plan> plan,
       redis_address address, bool only_master, std::shared_ptr<dial_limiter> dials, node_listener& listener);
  ~node();
  node(const node&) = delete;
  node& operator=(const node&) = delete;

  /// Begins to connect. Once, after the object is in its shared_ptr.
  void start();

  /// Queues a call; all that wait leave together as soon as a connection has little in flight. While the
  /// node is down or its breaker open: answers at once, from inside.
  void send(call& what);
  /// Forgets a call. One that has not left is not sent; the reply to one that has is dropped.
  void withdraw(const call& what) noexcept;

  /// As withdraw(), but only when it has not left: else false.
  bool withdraw_unsent(const call& what) noexcept;

  /// New credentials or certificates: every connection is replaced by one that uses them, none is cut.
  void update(std::shared_ptr<const session_plan> plan);

  /// Decisions are expected to be answered.
  [[nodiscard]] bool available() const noexcept { return serving_ > 0 && breaker_.closed(); }
  /// Some connection is up, whatever the breaker says.
  [[nodiscard]] bool connected() const noexcept { return serving_ > 0; }
  /// Not connected yet, and no attempt has failed.
  [[nodiscard]] bool hopeful() const noexcept { return hopeful_; }
  [[nodiscard]] const redis_address& address() const noexcept { return address_; }
  [[nodiscard]] errc last_failure() const noexcept { return last_failure_; }
  /// No call waits or is under way.
  [[nodiscard]] bool quiet() const noexcept;

  /// Final: closes everything, forgets every call.
  void shutdown();

  /// Sends what schedule_flush() left for the end of the turn.
  void end_turn();

 private:
  class link;
  friend class link;
  struct probe_call;

  [[nodiscard]] link* idle_link() noexcept;
  /// The least busy that has_room(); null: none has.
  [[nodiscard]] link* roomy_link() noexcept;
  /// Calls in commands that have left.
  [[nodiscard]] std::size_t in_flight() const noexcept;
  void send_again(call_group&& group);
  /// At the end of the turn; outside of one, as soon as the loop comes to it.
  void schedule_flush();
  void flush();
  void add_link(link* replaces);
  void link_ready(link& which, std::string_view memory_policy);
  void link_lost(link& which, bool was_up, std::size_t unanswered, errc reason);
  void drop_retired() noexcept;

  /// What the server's clock shows, as far as its last reply tells; this machine's before the first.
  [[nodiscard]] std::int64_t store_now_us(clock::time_point now) const noexcept;
  void set_store_clock(std::int64_t now_us, clock::time_point now) noexcept;

  void answered_well(clock::time_point now);
  void judge_error(errc error, std::string_view code);
  void note_failure(errc reason, std::size_t late);
  void opened(errc reason);
  void closed_again();
  void probe(link& by);
  void on_probe(const call_answer& answer);

  void fail_waiting(errc reason);
  void answer(call& what, const call_answer& with);

  void wake_by(clock::time_point when);
  void on_timer();
  void serve_links(clock::time_point now);
  void serve_waiting(clock::time_point now);
  void serve_breaker(clock::time_point now);
  [[nodiscard]] std::optional<clock::time_point> next_wake() const;
  void log(std::string_view level, const std::string& message) const;
  [[nodiscard]] std::string name() const;

  const std::shared_ptr<node_environment> environment_;
  std::shared_ptr<const session_plan> plan_;
  const redis_address address_;
  const bool only_master_;
  const std::shared_ptr<dial_limiter> dials_;
  node_listener& listener_;

  std::vector<std::unique_ptr<link>> links_;
  int serving_ = 0;
  std::size_t dial_count_ = 0;
  bool hopeful_ = true;  // no dial has failed: whoever comes may wait for it
  bool stopped_ = false;
  errc last_failure_ = errc::refused;

  call_queue waiting_;
  bool flush_scheduled_ = false;
  store_reply reply_, own_reply_;

  std::int64_t since_us_ = 0;                    // the server has data since then; 0 = not asked
  std::optional<std::int64_t> clock_offset_us_;  // the server's clock less the steady one

  breaker breaker_;
  std::unique_ptr<probe_call> probe_;

  boost::asio::basic_waitable_timer<clock, boost::asio::wait_traits<clock>,
                                    boost::asio::io_context::executor_type>
      timer_;
  std::optional<clock::time_point> armed_for_;
  std::uint64_t armed_ = 0;  // number of the last arming; a handler of an earlier one does nothing

  std::uint32_t logged_losses_ = 0;  // bit per errc: logged since the node was last up
  errc last_error_reply_ = errc::ok;
  clock::time_point next_error_log_{};
  bool policy_warned_ = false;
};

}  // namespace weir::limiter::redis
