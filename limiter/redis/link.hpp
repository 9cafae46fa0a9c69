// SPDX-License-Identifier: Apache-2.0
// [I/O] One place in a node's pool: a connection, the commands it has not answered, and the way back when it
// is lost.
#pragma once

#include "limiter/redis/node.hpp"
#include "limiter/redis/pack_call.hpp"

namespace weir::limiter::redis {

/// Calls. With fewer unanswered, a connection takes what comes at once: a Redis that answers in 0.1 ms would
/// else hold up every second decision at 10 000 a second.
inline constexpr std::size_t few_in_flight = 4;

class node::link final : public connection::owner {
 public:
  /// `replaces`: that one serves until this one is ready; null = a place of its own.
  link(node& parent, const link* replaces);
  ~link();
  link(const link&) = delete;
  link& operator=(const link&) = delete;

  [[nodiscard]] bool up() const noexcept { return phase_ == phase::up; }
  [[nodiscard]] bool gone() const noexcept { return phase_ == phase::gone; }
  [[nodiscard]] bool opening() const noexcept { return phase_ == phase::down || phase_ == phase::dialling; }
  /// Up, and everything it was sent has been answered.
  [[nodiscard]] bool idle() const noexcept { return takes_commands() && sent_.empty(); }
  /// Up, and so little is unanswered that more may follow. Behind much, what comes is better collected: it
  /// leaves in one write when the replies are there, which costs the server a fraction.
  [[nodiscard]] bool has_room() const noexcept {
    return takes_commands() && in_flight_ < few_in_flight && !pinging_;
  }
  /// Calls it was sent and has not answered, whether or not somebody still waits.
  [[nodiscard]] std::size_t in_flight() const noexcept { return in_flight_; }
  [[nodiscard]] const link* replaces() const noexcept { return replaces_; }
  /// Commands that left for somebody who still waits.
  [[nodiscard]] std::size_t unanswered() const noexcept;

  /// Writes everything in one go; the groups are not empty. Only while has_room().
  void write(std::span<call_group> batch, clock::time_point now);
  /// Only while idle(): true when it first has to be asked whether it still lives, which is then under way.
  bool ping_first(clock::time_point now);
  /// The breaker's question.
  void write_probe(call& peek, clock::time_point now);
  bool withdraw(const call& what) noexcept;

  /// New settings: dial anew, at once, unless it is up.
  void renew(clock::time_point now);
  /// Ready, or left alone: from now on a place of its own.
  void forget_replaced() noexcept { replaces_ = nullptr; }
  /// Serves what it has and then ends.
  void retire(redis_counters::close_reason as);
  void postpone_recycling(clock::time_point until) noexcept { age_.postpone(until); }
  /// What is due by now.
  void serve(clock::time_point now);
  [[nodiscard]] std::optional<clock::time_point> next_wake() const;
  /// Final and silent.
  void shutdown();

 private:
  enum class phase : std::uint8_t { down, dialling, up, gone };
  enum class gauge_state : std::uint8_t { none, idle, busy };
  using pack_forms = boost::container::static_vector<pack_form, most_packed>;  // by place
  /// Calls that may leave together.
  struct call_pack {
    call_group calls;
    pack_forms forms;
    std::size_t integers = 1;  // of the reply; 1 of them is the server's time
  };
  struct sent_command {
    enum class kind : std::uint8_t { decision, pack, heartbeat, load, ping, asking };
    kind type = kind::decision;
    call_group group;
    std::size_t places = 0;    // members when it left
    std::size_t charges = 0;   // of each; not of a pack
    std::size_t integers = 0;  // of the reply to a pack
    std::uint32_t shadow = 0;  // bit i: charge i is shadow; not of a pack
    pack_forms forms{};
    operation op = operation::take;
    clock::time_point deadline;
  };

  /// Up for good, and all it was sent is with the kernel.
  [[nodiscard]] bool takes_commands() const noexcept {
    return up() && !connection_->writing() && retire_as_ == redis_counters::close_reason_count;
  }

  // connection::owner
  void on_ready(std::string_view memory_policy, std::int64_t since_us) override;
  [[nodiscard]] std::optional<std::size_t> awaited_elements() const noexcept override;
  void on_reply(const reply& answer) override;
  [[nodiscard]] const loop_turns& turns() const noexcept override { return node_.environment_->turns; }
  void on_written() override;
  void on_lost(errc reason, std::string_view cause) override;

  void try_dial(clock::time_point now);
  void drop(errc reason, std::string_view cause);
  void close_as(redis_counters::close_reason reason) noexcept;
  [[nodiscard]] std::string_view script() const;
  // `now_us`: what the store's clock shows
  void append_decision(std::string& out, call_group&& group, bool with_text, std::int64_t now_us);
  void append_pack(std::string& out, call_pack&& pack, std::int64_t now_us);
  [[nodiscard]] bool may_pack(const call_group& group, std::int64_t now_us) const noexcept;
  void append_control(std::string& out, sent_command::kind type,
                      std::initializer_list<std::string_view> words);
  void sent(sent_command&& command);
  [[nodiscard]] sent_command take_oldest();
  void on_heartbeat(sent_command& command, const reply& answer);
  void on_decision(sent_command& command, const reply& answer);
  void on_pack(sent_command& command, const reply& answer);
  void on_error_reply(sent_command& command, std::string_view text);
  void condemn(sent_command command, errc reason, std::string_view cause);
  [[nodiscard]] bool heal(sent_command& command);
  void heal_pack(sent_command& command);
  [[nodiscard]] bool move_windows(sent_command& command, std::string_view text);
  void fail_sent(errc reason);
  [[nodiscard]] std::optional<clock::time_point> earliest_sent() const noexcept;
  void after_replies();
  void show(gauge_state state) noexcept;
  void log_loss(errc reason, std::string_view cause);

  node& node_;
  const link* replaces_;
  phase phase_ = phase::down;
  std::shared_ptr<connection> connection_;
  boost::circular_buffer<sent_command> sent_;
  std::size_t in_flight_ = 0;        // calls in sent_
  call_group* answering_ = nullptr;  // whose members are being told: one may withdraw another
  reconnect reconnect_;
  link_age age_;
  clock::time_point due_{};  // down: dial; dialling: give up
  bool pinging_ = false;
  bool pack_loaded_ = false;  // the server was given the script for packs
  redis_counters::close_reason retire_as_ = redis_counters::close_reason_count;
  gauge_state shown_ = gauge_state::none;
};

}  // namespace weir::limiter::redis
