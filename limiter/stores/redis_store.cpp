// SPDX-License-Identifier: Apache-2.0
#include "limiter/stores/redis_store.hpp"

#include "limiter/redis/connection.hpp"
#include "limiter/redis/decide_call.hpp"
#include "limiter/redis/errors.hpp"
#include "limiter/redis/reconnect.hpp"
#include "lua/scripts.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/circular_buffer.hpp>
#include <cassert>
#include <optional>
#include <random>
#include <utility>

namespace weir::limiter {

namespace asio = boost::asio;

namespace {

using clock = std::chrono::steady_clock;

/// One command that has no answer yet.
struct pending {
  store_waiter* waiter = nullptr;  // null: a control command, or nobody waits any more
  std::span<const charge> charges;
  clock::time_point deadline;
  operation op = operation::take;
  bool control = false;     // SCRIPT LOAD
  std::uint8_t healed = 0;  // how often NOSCRIPT sent it again
};

using pending_queue = boost::circular_buffer<pending>;

/// NOSCRIPT means "not executed", so sending again is safe. Twice is enough even while somebody flushes
/// scripts all the time: the second time the command brings the script itself.
constexpr std::uint8_t most_healings = 2;

void append(pending_queue& queue, const pending& command) {
  if (queue.full()) queue.set_capacity(2 * queue.capacity());
  queue.push_back(command);
}

/// Counters have one writer: no locked instruction.
void add(std::atomic<std::uint64_t>& counter, std::uint64_t n = 1) noexcept {
  counter.store(counter.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

std::shared_ptr<redis::dial_limiter> process_dials() {
  static const auto dials = std::make_shared<redis::dial_limiter>();
  return dials;
}

/// This machine's idea of the store's clock, which picks the calendar window by its own.
std::int64_t system_now_us() {
  using namespace std::chrono;
  return duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
}

std::string describe(const redis_settings& settings) {
  if (!settings.unix_path.empty()) return "redis unix:" + settings.unix_path;
  return "redis " + settings.host + ":" + std::to_string(settings.port);
}

}  // namespace

class redis_store::impl final : public std::enable_shared_from_this<impl>, public redis::connection::owner {
 public:
  impl(asio::io_context& io, redis_settings settings, log_function log,
       std::shared_ptr<redis::dial_limiter> dials);

  void execute(operation op, std::span<const charge> charges, store_waiter& waiter);
  void cancel(store_waiter& waiter) noexcept;
  [[nodiscard]] bool available() const noexcept { return available_.load(std::memory_order_relaxed); }
  [[nodiscard]] const redis_counters& counters() const noexcept { return counters_; }

  void try_dial();
  void shutdown();

 private:
  enum class phase : std::uint8_t { down, dialling, up, stopped };

  // redis::connection::owner
  void on_ready() override;
  [[nodiscard]] std::optional<std::size_t> awaited_elements() const noexcept override;
  void on_reply(const redis::reply& answer) override;
  void on_written() override { flush(); }
  void on_lost(errc reason, std::string_view cause) override;

  void schedule_flush();
  void flush();
  void append_call(std::string& out, const pending& command, bool with_text) const;
  void append_script_load(std::string& out);
  void on_error_reply(const pending& command, std::string_view text);
  [[nodiscard]] bool heal(pending command);
  void fail_with(const pending& command, errc reason, std::string_view cause);
  void answer_error(const pending& command, errc error);
  void fail_all(errc reason);
  void drop(errc reason, std::string_view cause) {
    connection_->close();
    on_lost(reason, cause);
  }

  void arm(clock::duration wait) { arm_at(clock::now() + wait); }
  void arm_at(clock::time_point when);
  void on_timer();
  void check_deadlines();
  [[nodiscard]] std::optional<clock::time_point> earliest_deadline() const noexcept;

  void log_loss(errc reason, std::string_view cause);
  void log_error_reply(errc error, std::string_view code);

  asio::io_context& io_;
  const redis_settings settings_;
  const log_function log_;
  redis::reconnect reconnect_;
  std::minstd_rand random_{std::random_device{}()};
  std::uniform_real_distribution<double> uniform_{0.0, 1.0};

  phase phase_ = phase::down;
  errc last_failure_ = errc::refused;
  std::size_t dials_ = 0;
  std::shared_ptr<redis::connection> connection_;

  pending_queue queued_;  // not written
  pending_queue sent_;    // written, in the order of their replies
  bool flush_posted_ = false;
  store_reply reply_;

  // One timer for whatever the phase waits for: the next dial, the end of a dial, the oldest command.
  asio::basic_waitable_timer<clock, asio::wait_traits<clock>, asio::io_context::executor_type> timer_;
  std::uint64_t armed_ = 0;  // number of the last arming; a handler of an earlier one does nothing
  bool deadline_armed_ = false;

  std::uint32_t logged_losses_ = 0;  // bit per errc: logged since the connection was last up
  errc last_error_reply_ = errc::ok;
  clock::time_point next_error_log_{};

  std::atomic<bool> available_{false};
  redis_counters counters_;
};

redis_store::impl::impl(asio::io_context& io, redis_settings settings, log_function log,
                        std::shared_ptr<redis::dial_limiter> dials)
    : io_(io),
      settings_(std::move(settings)),
      log_(std::move(log)),
      reconnect_(dials ? std::move(dials) : process_dials()),
      timer_(io.get_executor()) {
  constexpr std::size_t initial_capacity = 64;
  queued_.set_capacity(initial_capacity);
  sent_.set_capacity(initial_capacity);
}

// ---- Commands ----------------------------------------------------------------------

void redis_store::impl::execute(operation op, std::span<const charge> charges, store_waiter& waiter) {
  const pending command{
      .waiter = &waiter, .charges = charges, .deadline = clock::now() + settings_.command_timeout, .op = op};
  if (phase_ != phase::up) return answer_error(command, last_failure_);
  if (queued_.size() + sent_.size() >= settings_.max_in_flight)
    return answer_error(command, errc::overloaded);
  waiter.store_token = this;
  append(queued_, command);
  if (!deadline_armed_) {
    deadline_armed_ = true;
    arm_at(command.deadline);
  }
  schedule_flush();
}

void redis_store::impl::cancel(store_waiter& waiter) noexcept {
  if (std::exchange(waiter.store_token, nullptr) == nullptr) return;
  const auto waits = [&waiter](const pending& command) { return command.waiter == &waiter; };
  if (const auto unsent = std::find_if(queued_.begin(), queued_.end(), waits); unsent != queued_.end()) {
    queued_.erase(unsent);
  } else if (const auto sent = std::find_if(sent_.begin(), sent_.end(), waits); sent != sent_.end()) {
    sent->waiter = nullptr;
  }
}

void redis_store::impl::schedule_flush() {
  if (std::exchange(flush_posted_, true)) return;
  asio::post(io_.get_executor(), [self = shared_from_this()] {
    self->flush_posted_ = false;
    self->flush();
  });
}

/// Everything queued leaves in one write. While an earlier write is unfinished on_written() comes back here.
void redis_store::impl::flush() {
  if (phase_ != phase::up || connection_->writing() || queued_.empty()) return;
  std::string& out = connection_->output();
  bool healing = false;
  for (const pending& command : queued_) {
    // One text per write is enough for all: later calls run after it. A call that failed even so brings its
    // own.
    const bool with_text = command.healed == most_healings || (command.healed > 0 && !healing);
    append_call(out, command, with_text);
    append(sent_, command);
    if (with_text && !std::exchange(healing, true)) append_script_load(out);
  }
  add(counters_.commands, queued_.size());
  add(counters_.batches);
  queued_.clear();
  connection_->write();
}

void redis_store::impl::append_call(std::string& out, const pending& command, bool with_text) const {
  redis::append_decide(out, with_text ? "EVAL" : "EVALSHA",
                       with_text ? lua::decide_script() : lua::decide_sha1(), settings_.key_prefix,
                       command.op, command.charges, 1, system_now_us());
}

/// Newer servers evict scripts that only EVAL brought.
void redis_store::impl::append_script_load(std::string& out) {
  redis::append_command(out, {"SCRIPT", "LOAD", lua::decide_script()});
  append(sent_, {.waiter = nullptr,
                 .charges = {},
                 .deadline = clock::now() + settings_.command_timeout,
                 .control = true});
}

std::optional<std::size_t> redis_store::impl::awaited_elements() const noexcept {
  if (sent_.empty()) return std::nullopt;
  const pending& oldest = sent_.front();
  return oldest.control ? 0 : redis::decide_reply_size(oldest.charges.size());
}

void redis_store::impl::on_reply(const redis::reply& answer) {
  const pending command = sent_.front();
  sent_.pop_front();
  if (command.control) return;  // EVAL has healed already, whatever the answer is
  if (answer.type == redis::reply::kind::error) return on_error_reply(command, answer.text);
  reply_.states.clear();
  if (answer.type != redis::reply::kind::integers ||
      !redis::parse_decide(answer.integers, command.op, command.charges.size(), reply_)) {
    return fail_with(command, errc::protocol, "unexpected reply to a decision");
  }
  reconnect_.answered();
  last_error_reply_ = errc::ok;
  if (command.waiter == nullptr) return;
  command.waiter->store_token = nullptr;
  command.waiter->on_store_reply(errc::ok, reply_);
}

void redis_store::impl::on_error_reply(const pending& command, std::string_view text) {
  const errc error = redis::classify_error(text);
  if (error == errc::noscript && heal(command)) return;
  const std::string_view code = redis::error_code(text);
  // A replica stays one, and a lost login stays lost, for as long as this connection lives.
  if (error == errc::readonly || code == "NOAUTH") return fail_with(command, error, code);
  reconnect_.answered();
  log_error_reply(error, code);
  answer_error(command, error);
}

/// The answer to this command, the oldest, condemns the connection: it fails with the others.
void redis_store::impl::fail_with(const pending& command, errc reason, std::string_view cause) {
  sent_.push_front(command);
  drop(reason, cause);
}

/// Sends a command again that the server did not execute for want of the script.
bool redis_store::impl::heal(pending command) {
  if (command.healed == most_healings) return false;
  if (command.waiter == nullptr) return true;
  ++command.healed;
  append(queued_, command);
  schedule_flush();
  return true;
}

/// The waiter may do anything here, also destroy the store: nothing of this object is touched afterwards.
void redis_store::impl::answer_error(const pending& command, errc error) {
  static const store_reply empty;
  if (command.waiter == nullptr) return;
  add(counters_.errors[static_cast<std::size_t>(error)]);
  command.waiter->store_token = nullptr;
  command.waiter->on_store_reply(error, empty);
}

/// Written commands have an unknown outcome and carry the reason; unwritten ones were merely on a closed
/// connection.
void redis_store::impl::fail_all(errc reason) {
  const auto now = clock::now();
  while (!sent_.empty()) {
    const pending command = sent_.front();
    sent_.pop_front();
    answer_error(command, reason);
  }
  while (!queued_.empty()) {
    const pending command = queued_.front();
    queued_.pop_front();
    answer_error(command, reason == errc::timeout && command.deadline <= now ? errc::timeout : errc::closed);
  }
}

// ---- Connection --------------------------------------------------------------------

void redis_store::impl::try_dial() {
  if (const auto wait = reconnect_.may_dial(clock::now()); wait > clock::duration::zero()) return arm(wait);
  phase_ = phase::dialling;
  connection_ = std::make_shared<redis::connection>(io_, settings_, *this);
  arm(settings_.connect_timeout);
  connection_->dial(dials_++);
}

void redis_store::impl::on_ready() {
  phase_ = phase::up;
  deadline_armed_ = false;  // the timer still runs to the end of the dial, where it finds nothing to do
  logged_losses_ = 0;
  reconnect_.connected();
  add(counters_.connects);
  available_.store(true, std::memory_order_relaxed);
  if (log_) log_("info", "connected to " + describe(settings_));
}

void redis_store::impl::on_lost(errc reason, std::string_view cause) {
  const auto self = shared_from_this();  // a waiter may destroy the store
  const bool was_up = phase_ == phase::up;
  log_loss(reason, cause);
  connection_.reset();
  phase_ = phase::down;
  last_failure_ = reason;
  available_.store(false, std::memory_order_relaxed);
  const double random = uniform_(random_);
  arm(was_up ? reconnect_.lost(random) : reconnect_.failed(clock::now(), random));
  fail_all(reason);
}

void redis_store::impl::shutdown() {
  phase_ = phase::stopped;
  last_failure_ = errc::closed;
  available_.store(false, std::memory_order_relaxed);
  if (connection_) std::exchange(connection_, nullptr)->close();
  reconnect_.abandon();
  ++armed_;
  timer_.cancel();
  queued_.clear();
  sent_.clear();
}

// ---- Timer -------------------------------------------------------------------------

void redis_store::impl::arm_at(clock::time_point when) {
  timer_.expires_at(when);
  timer_.async_wait([self = shared_from_this(), number = ++armed_](const boost::system::error_code& error) {
    if (!error && number == self->armed_) self->on_timer();
  });
}

void redis_store::impl::on_timer() {
  switch (phase_) {
    case phase::down:
      return try_dial();
    case phase::dialling:
      return drop(errc::timeout, "no connection within connect_timeout");
    case phase::up:
      return check_deadlines();
    case phase::stopped:
      return;
  }
}

/// Runs once per command_timeout, not once per command: when it fires too early it waits for the oldest
/// again.
void redis_store::impl::check_deadlines() {
  const auto earliest = earliest_deadline();
  deadline_armed_ = earliest.has_value();
  if (!earliest) return connection_->watch();
  if (*earliest <= clock::now()) return drop(errc::timeout, "no answer within command_timeout");
  arm_at(*earliest);
}

/// All are looked at: healed commands keep their deadline but stand behind younger ones.
std::optional<clock::time_point> redis_store::impl::earliest_deadline() const noexcept {
  std::optional<clock::time_point> earliest;
  for (const pending_queue* queue : {&sent_, &queued_}) {
    for (const pending& command : *queue) {
      if (!earliest || command.deadline < *earliest) earliest = command.deadline;
    }
  }
  return earliest;
}

// ---- Log ---------------------------------------------------------------------------

/// Once per outage and reason.
void redis_store::impl::log_loss(errc reason, std::string_view cause) {
  const std::uint32_t bit = 1U << static_cast<unsigned>(reason);
  const bool logged = (logged_losses_ & bit) != 0;
  logged_losses_ |= bit;
  if (logged || !log_) return;
  const std::string what = phase_ == phase::up ? "lost " : "cannot connect to ";
  log_("warn",
       what + describe(settings_) + ": " + std::string(to_string(reason)) + " (" + std::string(cause) + ")");
}

/// When the server begins to answer with an error, at most once per 10 s.
void redis_store::impl::log_error_reply(errc error, std::string_view code) {
  if (std::exchange(last_error_reply_, error) == error || !log_) return;
  constexpr auto pause = std::chrono::seconds(10);
  const auto now = clock::now();
  if (now < next_error_log_) return;
  next_error_log_ = now + pause;
  log_("warn", describe(settings_) + " answers with an error: " + std::string(code));
}

// ---- redis_store -------------------------------------------------------------------

redis_store::redis_store(asio::io_context& io, redis_settings settings, log_function log,
                         std::shared_ptr<redis::dial_limiter> dials)
    : impl_(std::make_shared<impl>(io, std::move(settings), std::move(log), std::move(dials))) {
  impl_->try_dial();
}

redis_store::~redis_store() {
  shutdown();
}

void redis_store::execute(operation op, std::span<const charge> charges, store_waiter& waiter) {
  impl_->execute(op, charges, waiter);
}

void redis_store::cancel(store_waiter& waiter) noexcept {
  impl_->cancel(waiter);
}

bool redis_store::available() const noexcept {
  return impl_->available();
}

const redis_counters& redis_store::counters() const noexcept {
  return impl_->counters();
}

void redis_store::shutdown() {
  impl_->shutdown();
}

}  // namespace weir::limiter
