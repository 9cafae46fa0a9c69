// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/link.hpp"

#include "limiter/redis/decide_call.hpp"
#include "limiter/redis/errors.hpp"
#include "lua/scripts.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

namespace weir::limiter::redis {

namespace {

/// NOSCRIPT means "not executed", so sending again is safe. Twice is enough even while somebody flushes
/// scripts all the time: the second time the command brings the script itself.
constexpr std::uint8_t most_healings = 2;
constexpr std::uint8_t most_window_moves = 2;

constexpr std::size_t heartbeat_reply_size = 4;  // now, members, configurations, resets

/// `place` points at the group while its members are told.
class telling {
 public:
  telling(call_group*& place, call_group& group) noexcept : place_(place) { place_ = &group; }
  ~telling() { place_ = nullptr; }
  telling(const telling&) = delete;
  telling& operator=(const telling&) = delete;

 private:
  call_group*& place_;
};

std::int64_t own_clock_us() {
  const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::microseconds>(since_epoch).count();
}

call_group group_of(call& only) {
  call_group group;
  group.members.push_back(&only);
  return group;
}

void append_heartbeat(std::string& out, const heartbeat_words& words, bool proxy_clock) {
  const std::string configurations = words.key + ":configurations";
  const std::string resets = words.key + ":resets";
  const std::string since = words.key + ":since";
  if (!proxy_clock) {
    return append_command(out, {"EVAL", lua::members_script(), "4", words.key, configurations, resets, since,
                                words.member, words.fingerprint});
  }
  append_command(out, {"EVAL", lua::proxy_clock_members_script(), "4", words.key, configurations, resets,
                       since, words.member, words.fingerprint, std::to_string(own_clock_us())});
}

}  // namespace

node::link::link(node& parent, const link* replaces)
    : node_(parent), replaces_(replaces), sent_(64), reconnect_(parent.dials_) {}

node::link::~link() {
  shutdown();
}

std::size_t node::link::unanswered() const noexcept {
  return static_cast<std::size_t>(
      std::count_if(sent_.begin(), sent_.end(), [](const auto& command) { return !command.group.empty(); }));
}

// ---- Commands ----------------------------------------------------------------------

void node::link::write(std::span<call_group> batch, clock::time_point now) {
  std::string& out = connection_->output();
  bool healing = false;
  std::size_t commands = 0;
  const std::int64_t now_us = node_.store_now_us(now);
  call_pack pack;
  const auto send_pack = [&] {
    if (pack.calls.members.empty()) return;
    ++commands;
    call_pack full = std::exchange(pack, {});
    if (full.calls.members.size() == 1) return append_decision(out, std::move(full.calls), false, now_us);
    append_pack(out, std::move(full), now_us);
  };
  for (call_group& group : batch) {
    call* const first = group.first();
    if (first == nullptr) continue;
    if (may_pack(group, now_us)) {
      const pack_form form = pack_form_of(first->charges);
      if (pack.calls.members.size() == most_packed ||
          pack.integers + pack_reply_size(form) > max_decision_elements)
        send_pack();
      if (pack.calls.members.empty()) pack.calls = node_.waiting_.roomy();
      pack.calls.members.push_back(first);
      pack.forms.push_back(form);
      pack.integers += pack_reply_size(form);
      continue;
    }
    ++commands;
    // One text per write is enough for all: later calls run after it. A call that failed even so brings its
    // own.
    const bool with_text = first->healed == most_healings || (first->healed > 0 && !healing);
    if (first->asking) append_control(out, sent_command::kind::asking, {"ASKING"});
    append_decision(out, std::move(group), with_text, now_us);
    // Newer servers evict scripts that only EVAL brought.
    if (with_text && !std::exchange(healing, true))
      append_control(out, sent_command::kind::load, {"SCRIPT", "LOAD", script()});
  }
  send_pack();
  if (commands == 0) return;
  add(node_.environment_->counters.commands, commands);
  add(node_.environment_->counters.batches);
  age_.used(now);
  show(gauge_state::busy);
  connection_->write();
}

std::string_view node::link::script() const {
  return node_.plan_->settings.proxy_clock ? lua::proxy_clock_script() : lua::decide_script();
}

/// The keys of a pack may lie in any slot, and its script asks for the server's time.
bool node::link::may_pack(const call_group& group, std::int64_t now_us) const noexcept {
  const redis_settings& settings = node_.plan_->settings;
  return settings.topology != redis_topology::cluster && !settings.proxy_clock && packable(group) &&
         !may_be_cold(group.members.front()->charges, node_.since_us_, now_us);
}

void node::link::append_pack(std::string& out, call_pack&& pack, std::int64_t now_us) {
  boost::container::small_vector<std::span<const charge>, most_packed> decisions;
  for (const call* member : pack.calls.members) decisions.push_back(member->charges);
  if (!std::exchange(pack_loaded_, true))
    append_control(out, sent_command::kind::load, {"SCRIPT", "LOAD", lua::pack_script()});
  redis::append_pack(out, lua::pack_sha1(), node_.plan_->settings.key_prefix, decisions,
                     {.estimate_us = now_us});
  const std::size_t places = decisions.size();
  const auto deadline = pack.calls.deadline();
  add(node_.environment_->counters.packed, places);
  sent({.type = sent_command::kind::pack,
        .group = std::move(pack.calls),
        .places = places,
        .integers = pack.integers,
        .forms = std::move(pack.forms),
        .op = operation::take,
        .deadline = *deadline});
}

void node::link::append_decision(std::string& out, call_group&& group, bool with_text, std::int64_t now_us) {
  const call& first = *group.first();
  const std::size_t places = group.members.size();
  const bool decides = first.heartbeat == nullptr;
  if (!decides) append_heartbeat(out, *first.heartbeat, node_.plan_->settings.proxy_clock);
  if (decides) {
    const bool proxy_clock = node_.plan_->settings.proxy_clock;
    const std::string_view digest = proxy_clock ? lua::proxy_clock_sha1() : lua::decide_sha1();
    append_decide(out, with_text ? "EVAL" : "EVALSHA", with_text ? script() : digest,
                  node_.plan_->settings.key_prefix, first.op, first.charges,
                  {.k = static_cast<std::int64_t>(places),
                   .estimate_us = now_us,
                   .clock_us = proxy_clock ? own_clock_us() : -1,
                   .since_us = may_be_cold(first.charges, node_.since_us_, now_us) ? node_.since_us_ : 0});
  }
  const auto deadline = group.deadline();
  if (places > 1) add(node_.environment_->counters.merged, places - 1);
  sent({.type = decides ? sent_command::kind::decision : sent_command::kind::heartbeat,
        .group = std::move(group),
        .places = places,
        .charges = first.charges.size(),
        .shadow = shadow_bits(first.op, first.charges),
        .op = first.op,
        .deadline = *deadline});
}

void node::link::append_control(std::string& out, sent_command::kind type,
                                std::initializer_list<std::string_view> words) {
  append_command(out, words);
  sent({.type = type,
        .group = {},
        .places = 0,
        .charges = 0,
        .shadow = 0,
        .op = operation::take,
        .deadline = clock::now() + node_.plan_->settings.command_timeout});
}

void node::link::sent(sent_command&& command) {
  if (sent_.full()) sent_.set_capacity(2 * sent_.capacity());
  in_flight_ += command.places;
  sent_.push_back(std::move(command));
}

bool node::link::ping_first(clock::time_point now) {
  if (!node_.plan_->settings.pre_ping || !age_.ping_first(now)) return false;
  pinging_ = true;
  append_control(connection_->output(), sent_command::kind::ping, {"PING"});
  age_.used(now);
  show(gauge_state::busy);
  connection_->write();
  return true;
}

void node::link::write_probe(call& peek, clock::time_point now) {
  std::string& out = connection_->output();
  append_control(out, sent_command::kind::ping, {"PING"});
  append_decision(out, group_of(peek), false, node_.store_now_us(now));
  age_.used(now);
  show(gauge_state::busy);
  connection_->write();
}

bool node::link::withdraw(const call& what) noexcept {
  if (answering_ != nullptr && answering_->withdraw(what)) return true;
  for (sent_command& command : sent_) {
    if (command.group.withdraw(what)) return true;
  }
  return false;
}

// ---- Replies -----------------------------------------------------------------------

std::optional<std::size_t> node::link::awaited_elements() const noexcept {
  if (sent_.empty()) return std::nullopt;
  const sent_command& oldest = sent_.front();
  if (oldest.type == sent_command::kind::heartbeat) return heartbeat_reply_size;
  if (oldest.type == sent_command::kind::pack) return oldest.integers;
  return oldest.type == sent_command::kind::decision ? decide_reply_size(oldest.charges) : 0;
}

node::link::sent_command node::link::take_oldest() {
  sent_command command = std::move(sent_.front());
  sent_.pop_front();
  in_flight_ -= command.places;
  return command;
}

void node::link::on_reply(const reply& answer) {
  sent_command command = take_oldest();
  const telling now(answering_, command.group);
  if (command.type == sent_command::kind::decision) {
    on_decision(command, answer);
  } else if (command.type == sent_command::kind::pack) {
    on_pack(command, answer);
  } else if (command.type == sent_command::kind::heartbeat) {
    on_heartbeat(command, answer);
  } else if (command.type == sent_command::kind::ping) {
    pinging_ = false;  // whatever it says, it lives
  }
  // SCRIPT LOAD: EVAL has healed already. ASKING: the call behind it hears what is wrong.
  if (node_.stopped_) return;
  node_.waiting_.recycle(std::move(command.group));
  if (sent_.empty()) after_replies();
}

void node::link::on_written() {
  if (sent_.empty()) after_replies();
}

/// Nothing is in flight any more.
void node::link::after_replies() {
  if (!up() || connection_->writing()) return;
  show(gauge_state::idle);
  if (retire_as_ != redis_counters::close_reason_count) return close_as(retire_as_);
  node_.flush();
}

void node::link::on_decision(sent_command& command, const reply& answer) {
  if (answer.type == reply::kind::error) return on_error_reply(command, answer.text);
  store_reply& reply = node_.reply_;
  reply.states.clear();
  if (answer.type != reply::kind::integers ||
      !parse_decide(answer.integers, command.op, command.charges, reply,
                    static_cast<std::int64_t>(command.places), command.shadow))
    return condemn(std::move(command), errc::protocol, "unexpected reply to a decision");
  const auto now = clock::now();
  reconnect_.answered();
  node_.answered_well(now);
  node_.set_store_clock(reply.now_us, now);
  const auto admitted = static_cast<std::size_t>(reply.admitted);
  for (std::size_t i = 0; i < command.places && !node_.stopped_; ++i) {
    call* const member = command.group.members[i];
    if (member == nullptr) continue;
    if (command.places == 1)
      return member->on_done({.error = errc::ok, .reply = &reply, .text = {}, .sent = true});
    store_reply own;
    member_reply(reply, i, command.places, admitted, member->charges, own);
    member->on_done({.error = errc::ok, .reply = &own, .text = {}, .sent = true});
  }
}

void node::link::on_pack(sent_command& command, const reply& answer) {
  if (answer.type == reply::kind::error) return on_error_reply(command, answer.text);
  if (answer.type != reply::kind::integers || answer.integers.size() != command.integers)
    return condemn(std::move(command), errc::protocol, "unexpected reply to a pack");
  const auto now = clock::now();
  const std::int64_t now_us = answer.integers.front();
  store_reply& reply = node_.reply_;
  std::size_t position = 1;
  bool heard = false;
  for (std::size_t i = 0; i < command.places && !node_.stopped_; ++i) {
    const pack_form form = command.forms[i];
    const auto integers = std::span(answer.integers).subspan(position, pack_reply_size(form));
    position += integers.size();
    call* const member = command.group.members[i];
    if (member == nullptr) continue;
    const pack_answer said = parse_packed(now_us, integers, form, member->charges, reply);
    if (said == pack_answer::malformed)
      return condemn(std::move(command), errc::protocol, "unexpected reply to a pack");
    if (!std::exchange(heard, true)) {
      reconnect_.answered();
      node_.answered_well(now);
      node_.set_store_clock(now_us, now);
    }
    command.group.members[i] = nullptr;
    if (said == pack_answer::failed) {
      member->alone = true;
      node_.send_again(group_of(*member));
    } else {
      member->on_done({.error = errc::ok, .reply = &reply, .text = {}, .sent = true});
    }
  }
}

void node::link::on_heartbeat(sent_command& command, const reply& answer) {
  if (answer.type == reply::kind::error) return on_error_reply(command, answer.text);
  if (answer.type != reply::kind::integers || answer.integers.size() != heartbeat_reply_size)
    return condemn(std::move(command), errc::protocol, "unexpected reply to a heartbeat");
  reconnect_.answered();
  node_.answered_well(clock::now());
  const heartbeat_answer heard{.now_us = answer.integers[0],
                               .members = answer.integers[1],
                               .configurations = answer.integers[2],
                               .resets = answer.integers[3]};
  if (call* const asked = command.group.first())
    asked->on_done({.error = errc::ok, .reply = nullptr, .text = {}, .sent = true, .heard = &heard});
}

void node::link::on_error_reply(sent_command& command, std::string_view text) {
  const errc error = classify_error(text);
  if (error == errc::noscript && command.type == sent_command::kind::pack) return heal_pack(command);
  if (error == errc::noscript && heal(command)) return;
  if (error == errc::window && move_windows(command, text)) return;
  const std::string_view code = error_code(text);
  // A replica stays one, and a lost login stays lost, for as long as this connection lives.
  if (error == errc::readonly || code == "NOAUTH") return condemn(std::move(command), error, code);
  reconnect_.answered();
  const std::string kept(text);  // the reader's buffer may be used again while members answer
  node_.judge_error(error, code);
  for (call* const member : command.group.members) {
    if (node_.stopped_) return;
    if (member != nullptr) member->on_done({.error = error, .reply = nullptr, .text = kept, .sent = true});
  }
}

/// The answer to this command, the oldest, condemns the connection: it fails with the others.
void node::link::condemn(sent_command command, errc reason, std::string_view cause) {
  in_flight_ += command.places;
  sent_.push_front(std::move(command));
  drop(reason, cause);
}

/// Sends a command again that the server did not execute for want of the script.
bool node::link::heal(sent_command& command) {
  call* const first = command.group.first();
  if (first == nullptr) return true;
  if (first->healed == most_healings) return false;
  for (call* const member : command.group.members) {
    if (member != nullptr) ++member->healed;
  }
  node_.send_again(std::move(command.group));
  return true;
}

/// Its members go again one by one, the first with the text of the script they need then.
void node::link::heal_pack(sent_command& command) {
  pack_loaded_ = false;
  for (call* const member : command.group.members) {
    if (member == nullptr) continue;
    ++member->healed;
    node_.send_again(group_of(*member));
  }
}

/// The server's clock lies in no calendar window of the call, which was not executed: computes them anew from
/// what it says the time is.
bool node::link::move_windows(sent_command& command, std::string_view text) {
  const auto now_us = window_error_now(text);
  call* const first = command.group.first();
  if (!now_us || first == nullptr || first->moved_windows == most_window_moves) return false;
  node_.set_store_clock(*now_us, clock::now());
  for (call* const member : command.group.members) {
    if (member != nullptr) ++member->moved_windows;
  }
  node_.send_again(std::move(command.group));
  return true;
}

// ---- Connection --------------------------------------------------------------------

void node::link::try_dial(clock::time_point now) {
  if (const auto wait = reconnect_.may_dial(now); wait > clock::duration::zero()) {
    due_ = now + wait;
    return;
  }
  phase_ = phase::dialling;
  due_ = now + node_.plan_->settings.connect_timeout;
  add(node_.environment_->counters.created);
  connection_ = std::make_shared<connection>(node_.environment_->io, node_.plan_, node_.address_,
                                             node_.only_master_, *this, node_.shared_from_this());
  connection_->dial(node_.dial_count_++);
}

void node::link::on_ready(std::string_view memory_policy, std::int64_t since_us) {
  const auto now = clock::now();
  phase_ = phase::up;
  pack_loaded_ = false;
  reconnect_.connected();
  age_ = link_age(now, node_.plan_->settings.recycle, node_.environment_->uniform());
  show(gauge_state::idle);
  const std::string policy(memory_policy);
  node_.since_us_ = since_us;
  node_.link_ready(*this, policy);
}

void node::link::on_lost(errc reason, std::string_view cause) {
  const auto self = node_.shared_from_this();  // a waiter may end the store
  const bool was_up = up();
  const bool was_pinging = std::exchange(pinging_, false);
  log_loss(reason, cause);
  connection_.reset();
  show(gauge_state::none);
  add(node_.environment_->counters.closed[reason == errc::timeout ? redis_counters::timed_out
                                          : was_up                ? redis_counters::lost
                                                                  : redis_counters::refused]);
  phase_ = phase::down;
  const auto now = clock::now();
  const double random = node_.environment_->uniform();
  due_ = now + (was_up ? reconnect_.lost(random) : reconnect_.failed(now, random));
  if (was_pinging) due_ = now;
  const bool replacement = replaces_ != nullptr && !was_up;
  if (replacement || retire_as_ != redis_counters::close_reason_count) phase_ = phase::gone;
  node_.link_lost(*this, was_up, unanswered(), was_pinging ? errc::ok : reason);
  if (!node_.stopped_) fail_sent(reason);
}

/// Written commands have an unknown outcome and carry the reason.
void node::link::fail_sent(errc reason) {
  while (!sent_.empty() && !node_.stopped_) {
    sent_command command = take_oldest();
    const telling members(answering_, command.group);
    for (call* const member : command.group.members) {
      if (node_.stopped_) return;
      if (member != nullptr) member->on_done({.error = reason, .reply = nullptr, .text = {}, .sent = true});
    }
  }
}

void node::link::drop(errc reason, std::string_view cause) {
  connection_->close();
  on_lost(reason, cause);
}

void node::link::close_as(redis_counters::close_reason reason) noexcept {
  if (connection_) {
    std::exchange(connection_, nullptr)->close();
    add(node_.environment_->counters.closed[reason]);
    show(gauge_state::none);
    if (up()) --node_.serving_;
  }
  reconnect_.abandon();
  phase_ = phase::gone;
  node_.wake_by(clock::now());  // to be removed
}

void node::link::renew(clock::time_point now) {
  if (up() || gone()) return;
  if (connection_) {
    std::exchange(connection_, nullptr)->close();
    add(node_.environment_->counters.closed[redis_counters::replaced]);
  }
  reconnect_.abandon();
  reconnect_.answered();
  phase_ = phase::down;
  due_ = now;
}

void node::link::retire(redis_counters::close_reason as) {
  retire_as_ = as;
  if (!up() || (sent_.empty() && !connection_->writing())) close_as(as);
}

void node::link::shutdown() {
  if (connection_) {
    std::exchange(connection_, nullptr)->close();
    add(node_.environment_->counters.closed[redis_counters::shut_down]);
  }
  show(gauge_state::none);
  reconnect_.abandon();
  phase_ = phase::gone;
  sent_.clear();
}

// ---- Time --------------------------------------------------------------------------

void node::link::serve(clock::time_point now) {
  switch (phase_) {
    case phase::down:
      if (due_ <= now) try_dial(now);
      return;
    case phase::dialling:
      if (due_ <= now) drop(errc::timeout, "no connection within connect_timeout");
      return;
    case phase::up:
      break;
    case phase::gone:
      return;
  }
  const auto earliest = earliest_sent();
  if (!earliest) {
    if (age_.recycle_at() <= now) {
      age_.postpone(now + std::chrono::minutes(1));
      node_.add_link(this);
    }
    return connection_->watch();
  }
  if (*earliest > now) return;
  drop(errc::timeout, "no answer within command_timeout");
}

/// All are looked at: healed commands keep their deadline but stand behind younger ones.
std::optional<node::clock::time_point> node::link::earliest_sent() const noexcept {
  std::optional<clock::time_point> earliest;
  for (const sent_command& command : sent_) {
    if (!earliest || command.deadline < *earliest) earliest = command.deadline;
  }
  return earliest;
}

std::optional<node::clock::time_point> node::link::next_wake() const {
  if (phase_ == phase::gone) return std::nullopt;
  if (phase_ != phase::up) return due_;
  const auto earliest = earliest_sent();
  return earliest ? earliest : age_.recycle_at();
}

void node::link::show(gauge_state state) noexcept {
  redis_counters& counters = node_.environment_->counters;
  const auto count = [&counters](gauge_state of, std::int64_t n) {
    if (of == gauge_state::idle) add(counters.idle, n);
    if (of == gauge_state::busy) add(counters.busy, n);
  };
  count(shown_, -1);
  count(state, 1);
  shown_ = state;
}

/// Once per outage and reason.
void node::link::log_loss(errc reason, std::string_view cause) {
  const std::uint32_t bit = 1U << static_cast<unsigned>(reason);
  const bool logged = (node_.logged_losses_ & bit) != 0;
  node_.logged_losses_ |= bit;
  if (logged) return;
  node_.log("warn", (up() ? "lost " : "cannot connect to ") + node_.name() + ": " +
                        std::string(to_string(reason)) + " (" + std::string(cause) + ")");
}

}  // namespace weir::limiter::redis
