// SPDX-License-Identifier: Apache-2.0
// lua_differential [--operations N] [--seed N]
// The decision script against the memory store: random rules, operations, clock steps and reloads, every
// number of every answer. Exit 1 at the first difference.
#include "limiter/redis/pack_call.hpp"
#include "limiter/stores/memory_store.hpp"
#include "limiter/time_zone.hpp"
#include "tests/conformance/clock_argv.hpp"
#include "tests/support/lua_host.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace weir::limiter;
using weir::tests::lua_host;

constexpr std::int64_t epoch_us = 1'800'000'000'000'000;
constexpr std::size_t most_rules = 4;
constexpr std::size_t subjects = 2;
constexpr int steps_per_trial = 60;

class dice {
 public:
  explicit dice(std::uint64_t seed) : random_(seed) {}
  std::int64_t below(std::int64_t n) {
    return static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(n));
  }
  bool chance(int percent) { return below(100) < percent; }
  std::int64_t pick(std::span<const std::int64_t> from) {
    return from[static_cast<std::size_t>(below(static_cast<std::int64_t>(from.size())))];
  }

 private:
  std::mt19937_64 random_;
};

quota random_bucket(dice& d) {
  constexpr std::int64_t limits[] = {1, 2, 3, 7, 10, 100, 700'003, 999'983, 2'147'483'648};
  constexpr std::int64_t periods[] = {1, 7, 1000, 333'333, 1'000'000, 1'000'003, 60'000'000, 86'400'000'000};
  quota q{algorithm::token_bucket, d.pick(limits), d.pick(periods), 1 + d.below(12)};
  if (d.chance(10)) q.burst = std::int64_t{1} << d.below(53);
  const quota_check check = validate(q);
  if (check.problem != quota_problem::none)
    q.burst = std::max<std::int64_t>(1, check.nearest_legal - d.below(3));
  return validate(q).problem == quota_problem::none ? q : random_bucket(d);
}

quota random_log(dice& d) {
  constexpr std::int64_t windows[] = {1, 5, 1000, 333'333, 1'000'000, 60'000'000};
  const std::int64_t limit = d.chance(1) ? 2500 : 1 + d.below(12);
  return {algorithm::sliding_window_log, limit, d.pick(windows), limit};
}

quota random_window(dice& d, algorithm a) {
  constexpr std::int64_t windows[] = {1, 5, 1000, 333'333, 1'000'000, 60'000'000, 86'400'000'000};
  const std::int64_t limit = d.chance(5) ? 2'147'483'648 : 1 + d.below(12);
  const quota q{a, limit, d.pick(windows), limit};
  return validate(q).problem == quota_problem::none ? q : random_window(d, a);
}

quota random_calendar(dice& d) {
  constexpr std::string_view zones[] = {"UTC", "+05:45", "-09:30"};
  const std::int64_t limit = 1 + d.below(12);
  const bool month = d.chance(30);
  return {algorithm::fixed_window,
          limit,
          (month ? 30 : 1) * 86'400'000'000,
          limit,
          month ? calendar_unit::month : calendar_unit::day,
          find_time_zone(zones[d.below(3)])};
}

quota random_slots(dice& d) {
  constexpr std::int64_t leases[] = {1, 1000, 333'333, 30'000'000};
  const std::int64_t limit = 1 + d.below(5);
  return {algorithm::concurrency, limit, d.pick(leases), limit};
}

/// Of the same algorithm as `like`, with other numbers.
quota another_quota(dice& d, const quota& like) {
  if (like.calendar != calendar_unit::none) return random_calendar(d);
  switch (like.algorithm) {
    case algorithm::token_bucket:
      return random_bucket(d);
    case algorithm::sliding_window_log:
      return random_log(d);
    case algorithm::concurrency:
      return random_slots(d);
    case algorithm::fixed_window:
    case algorithm::sliding_window_counter:
      break;
  }
  return random_window(d, like.algorithm);
}

quota random_quota(dice& d) {
  if (d.chance(35)) return random_bucket(d);
  switch (d.below(5)) {
    case 0:
      return random_log(d);
    case 1:
      return random_calendar(d);
    case 2:
      return random_slots(d);
    case 3:
      return random_window(d, algorithm::fixed_window);
    default:
      return random_window(d, algorithm::sliding_window_counter);
  }
}

subject_key subject_named(std::size_t number) {
  subject_key key;
  key.text.fill('s');
  key.text[0] = static_cast<char>('a' + number);
  return key;
}

/// One history on both sides. A trial steps its clock back, or lets the TTLs of the script's keys fire (and
/// has penalties), or changes the periods of windows (the same): each would make another one's outcome depend
/// on when dead entries are dropped.
class trial {
 public:
  /// `packs` runs the script for packs on what `host` holds.
  trial(dice& d, lua_host& host, lua_host& packs)
      : dice_(d), host_(host), packs_(packs), kind_(static_cast<kind>(d.below(3))) {
    host_.data.clear();
    host_.expire = packs_.expire = kind_ == kind::expires;
    const auto count = static_cast<std::size_t>(1 + (d.chance(40) ? 0 : d.below(most_rules)));
    rules_.resize(count);
    tiers_.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
      const char digit = static_cast<char>('0' + i);
      rules_[i].rid = {{'r', 'u', '-', digit}, {'0', '4', digit}};
      rules_[i].quota = random_quota(d);
      if (kind_ != kind::steps_back && rules_[i].quota.algorithm != algorithm::concurrency && d.chance(20))
        rules_[i].penalty_us = random_penalty();
      tiers_[i] = changed(rules_[i].quota);
    }
    apart_ = d.chance(30);
    now_us_ += d.below(1'000'000'000);
    if (d.chance(20)) plant_foreign_entry();
  }

  /// False at a difference, which it has printed.
  bool run() {
    for (int i = 0; i < steps_per_trial; ++i) {
      if (!step()) return false;
    }
    return foreign_.empty() || host_.data[foreign_key_].text.find(foreign_) != std::string::npos ||
           report("an entry of an unknown rule was lost: " + foreign_);
  }

 private:
  using place = std::pair<std::size_t, std::size_t>;  // rule, subject
  enum class kind : std::uint8_t { steps_back, expires, changes_periods };

  // As another version of the configuration may have written it.
  void plant_foreign_entry() {
    foreign_ = "oth_=k" + std::to_string(now_us_ + (std::int64_t{1} << 51)) + ":7";
    foreign_key_ = "rl:1:{" + std::string(subject_named(0).view()) + "}";
    host_.data[foreign_key_] = {foreign_, {}, false, (now_us_ + (std::int64_t{1} << 51)) / 1000 + 1, {}};
  }

  bool step() {
    if (dice_.chance(5)) reload();
    move_clock();
    if (dice_.chance(15)) return pack_step();
    const auto op = random_operation();
    const charge_list charges = random_charges(op);
    const bool one_by_one = std::any_of(charges.begin(), charges.end(), [](const charge& c) {
      return c.shadow || c.matched->penalty_us > 0;
    });
    const bool several = op == operation::take && !one_by_one && dice_.chance(15);
    const std::int64_t k = several ? 2 + dice_.below(5) : 1;

    store_reply twin;
    table_.execute(op, charges, twin, k);
    command_.clear();
    redis::append_decide(command_, "EVALSHA", "sha", "rl:", op, charges,
                         {.k = k, .estimate_us = now_us_ + estimate_error(), .clock_us = now_us_});
    host_.now_us = now_us_;
    const std::int64_t writes_before = host_.writes;
    const lua_host::result reply = host_.evaluate(command_);
    if (!reply.error.empty()) return report("script error: " + reply.error);
    store_reply script;
    if (!redis::parse_decide(reply.integers, op, charges.size(), script, k, shadow_bits(op, charges)))
      return report("impossible reply");
    if (!same(twin, script)) return report(describe(op, k, charges, twin, script));
    const bool denied =
        std::any_of(twin.states.begin(), twin.states.end(), [](const auto& s) { return !s.allowed; });
    const bool may_block = std::any_of(charges.begin(), charges.end(),
                                       [](const charge& c) { return c.matched->penalty_us > 0; });
    const bool silent = op == operation::peek || (denied && twin.admitted == 0 && !by_itself(op) &&
                                                  !may_block && kind_ != kind::steps_back && !reloaded_);
    if (silent && host_.writes != writes_before) return report("a peek or a denied operation wrote");
    if (op != operation::peek) remember(charges, twin);
    last_retry_us_ = std::max<std::int64_t>(0, twin.states.front().retry_after_us);
    return true;
  }

  /// Takes of several requests in one call, one after the other for the twin.
  bool pack_step() {
    std::vector<charge_list> decisions(static_cast<std::size_t>(1 + dice_.below(6)));
    for (charge_list& charges : decisions) charges = random_charges(operation::take);
    const std::vector<std::span<const charge>> views(decisions.begin(), decisions.end());
    command_.clear();
    redis::append_pack(command_, "sha", "rl:", views,
                       {.estimate_us = now_us_ + estimate_error(), .clock_us = now_us_});
    packs_.now_us = now_us_;
    std::swap(packs_.data, host_.data);
    const lua_host::result reply = packs_.evaluate(command_);
    std::swap(packs_.data, host_.data);
    if (!reply.error.empty()) return report("pack: script error: " + reply.error);
    std::size_t position = 1;
    for (const charge_list& charges : decisions) {
      store_reply twin;
      table_.execute(operation::take, charges, twin);
      store_reply script;
      const redis::pack_form form = redis::pack_form_of(charges);
      const std::size_t size = redis::pack_reply_size(form);
      if (position + size > reply.integers.size()) return report("pack: fewer integers than decisions");
      const auto integers = std::span(reply.integers).subspan(position, size);
      position += size;
      if (redis::parse_packed(reply.integers.front(), integers, form, charges, script) !=
          redis::pack_answer::decided)
        return report("pack: impossible reply");
      if (!same(twin, script)) return report("pack: " + describe(operation::take, 1, charges, twin, script));
      remember(charges, twin);
    }
    return position == reply.integers.size() || report("pack: more integers than decisions");
  }

  void reload() {
    rule& r = rules_[static_cast<std::size_t>(dice_.below(static_cast<std::int64_t>(rules_.size())))];
    if (r.penalty_us > 0 && dice_.chance(30)) {
      r.penalty_us = random_penalty();
      reloaded_ = true;
    }
    r.quota = changed(r.quota);
    reloaded_ = true;
  }

  quota changed(const quota& from) {
    quota q = another_quota(dice_, from);
    if (q.algorithm != algorithm::token_bucket && kind_ != kind::changes_periods &&
        q.calendar == calendar_unit::none) {
      q.period_us = from.period_us;
      if (validate(q).problem != quota_problem::none) q.limit = q.burst = 1;
    }
    return q;
  }

  std::int64_t random_penalty() {
    constexpr std::int64_t penalties[] = {1, 50, 1'000'000, 60'000'000, 86'400'000'000};
    return dice_.pick(penalties);
  }

  /// Only slots can be renewed.
  operation random_operation() {
    const bool slots = std::all_of(rules_.begin(), rules_.end(),
                                   [](const rule& r) { return r.quota.algorithm == algorithm::concurrency; });
    if (slots && dice_.chance(25)) return operation::renew;
    return dice_.chance(55) ? operation::take : static_cast<operation>(dice_.below(4));
  }

  static bool by_itself(operation op) { return op == operation::refund || op == operation::renew; }

  /// The caller may be wrong about the clock by less than a window: the script picks the next one by itself.
  std::int64_t estimate_error() { return dice_.chance(20) ? -dice_.below(86'000'000'000) : 0; }

  void move_clock() {
    const quota& q = rules_.front().quota;
    const std::int64_t from = now_us_;
    switch (dice_.below(8)) {
      case 0:
      case 1:
        break;
      case 2:
        now_us_ += 1 + dice_.below(3);
        break;
      case 3:
        now_us_ += last_retry_us_ < (std::int64_t{1} << 50) ? last_retry_us_ : 1;
        break;
      case 4:
        now_us_ += std::max<std::int64_t>(0, last_retry_us_ % (std::int64_t{1} << 50) - 1);
        break;
      case 5:
        now_us_ += dice_.below(q.period_us * 2 + 1);
        break;
      case 6:
        now_us_ += dice_.below(q.period_us / q.limit * 3 + 2);
        break;
      default:
        if (kind_ == kind::steps_back) step_back();
    }
    // Instants stay far below 2^53; a trial that ran away starts over from its clock.
    if (now_us_ > epoch_us * 2) now_us_ = from;
  }

  // Not into the life of an entry that has expired: the script may have dropped it with a commit of another
  // rule, which the twin does not do, and both are right.
  void step_back() {
    constexpr std::int64_t steps[] = {1, 50, 20'000, 1'000'000, 3'600'000'000, 86'400'000'000};
    std::int64_t target = now_us_ - 1 - dice_.below(dice_.pick(steps));
    for (const auto& [where, expires_at_us] : expiry_) {
      if (expires_at_us.first <= now_us_ + 2) target = std::max(target, expires_at_us.second + 2);
    }
    now_us_ = std::min(now_us_, target);
  }

  charge_list random_charges(operation op) {
    charge_list charges;
    const auto who = static_cast<std::size_t>(dice_.below(subjects));
    for (std::size_t i = 0; i < rules_.size(); ++i) {
      if (rules_.size() > 1 && dice_.chance(15)) continue;
      charges.push_back(
          {&rules_[i], subject_named(who + (apart_ ? i * subjects : 0)), random_cost(rules_[i].quota)});
    }
    if (charges.empty()) charges.push_back({&rules_[0], subject_named(who), random_cost(rules_[0].quota)});
    for (charge& c : charges) {
      constexpr std::string_view holders[] = {"p-1", "p-2", "q.3", "Z_4", "p-5", "p-6"};
      c.holder = holders[dice_.below(6)];
      if (c.matched->quota.algorithm != algorithm::concurrency) {
        c.shadow = dice_.chance(15);
        if (dice_.chance(5)) {
          c.special = &tiers_[static_cast<std::size_t>(c.matched - rules_.data())];
          reloaded_ = true;
        }
      }
      if (op == operation::refund && dice_.chance(30)) {
        c.charged_at_us = std::max<std::int64_t>(1, now_us_ - dice_.below(c.matched->quota.period_us + 5));
        c.aged = dice_.chance(40);
      }
    }
    return charges;
  }

  std::int64_t random_cost(const quota& q) {
    constexpr std::int64_t most = std::int64_t{1} << 31;
    if (dice_.chance(50)) return 1;
    if (dice_.chance(2)) return most;
    return dice_.below(std::min(q.burst + 2, most));
  }

  void remember(const charge_list& charges, const store_reply& reply) {
    for (std::size_t i = 0; i < charges.size(); ++i) {
      const auto rule_number = static_cast<std::size_t>(charges[i].matched - rules_.data());
      const place where{rule_number, static_cast<std::size_t>(charges[i].subject.text[0])};
      // X of a counter whose current window is unused may lie a window after its reset.
      const quota& q = charges[i].quota();
      const std::int64_t more = q.algorithm == algorithm::sliding_window_counter ? q.period_us : 0;
      const std::int64_t reset_at_us = now_us_ + reply.states[i].reset_after_us;
      expiry_[where] = {reset_at_us, reset_at_us + more};
    }
  }

  static bool same(const store_reply& a, const store_reply& b) {
    return a.now_us == b.now_us && a.admitted == b.admitted &&
           std::equal(a.states.begin(), a.states.end(), b.states.begin(), b.states.end(),
                      [](const rule_state& x, const rule_state& y) {
                        return x.allowed == y.allowed && x.remaining == y.remaining &&
                               x.retry_after_us == y.retry_after_us && x.reset_after_us == y.reset_after_us &&
                               x.granted == y.granted && x.used == y.used;
                      });
  }

  static std::string describe(operation op, std::int64_t k, const charge_list& charges,
                              const store_reply& twin, const store_reply& script) {
    std::string text = "operation " + std::to_string(static_cast<int>(op)) + " k " + std::to_string(k) +
                       " admitted " + std::to_string(twin.admitted) + " / " + std::to_string(script.admitted);
    for (std::size_t i = 0; i < charges.size(); ++i) {
      const quota& q = charges[i].quota();
      text += "\n  rule " + std::string(charges[i].matched->rid.text()) + " algorithm " +
              std::to_string(static_cast<int>(q.algorithm)) + " limit " + std::to_string(q.limit) +
              " period " + std::to_string(q.period_us) + " burst " + std::to_string(q.burst) + " cost " +
              std::to_string(charges[i].cost) + (charges[i].shadow ? " shadow" : "") + " penalty " +
              std::to_string(charges[i].matched->penalty_us);
      for (const store_reply* r : {&twin, &script}) {
        const rule_state& s = r->states[i];
        text += std::string(r == &twin ? "\n    twin   " : "\n    script ") +
                (s.allowed ? "allowed" : "denied") + " remaining " + std::to_string(s.remaining) + " retry " +
                std::to_string(s.retry_after_us) + " reset " + std::to_string(s.reset_after_us) +
                " granted " + std::to_string(s.granted) + " used " + std::to_string(s.used);
      }
    }
    return text;
  }

  bool report(const std::string& what) const {
    std::printf("at %lld: %s\n", static_cast<long long>(now_us_), what.c_str());
    return false;
  }

  dice& dice_;
  lua_host& host_;
  lua_host& packs_;
  const kind kind_;
  bool apart_ = false;  // a subject per rule
  bool reloaded_ = false;
  std::vector<rule> rules_;
  std::vector<quota> tiers_;  // by rule: the quota of some of its charges
  std::int64_t now_us_ = epoch_us;
  std::int64_t last_retry_us_ = 0;
  std::map<place, std::pair<std::int64_t, std::int64_t>> expiry_;  // X lies between the two
  std::string foreign_;
  std::string foreign_key_;
  std::string command_;
  memory_table table_{{.max_keys = 1000, .shards = 1, .clock = [this] { return now_us_; }}};
};

std::int64_t option(std::span<char*> arguments, std::string_view name, std::int64_t fallback) {
  for (std::size_t i = 1; i + 1 < arguments.size(); i += 2) {
    if (arguments[i] == name) return std::strtoll(arguments[i + 1], nullptr, 10);
  }
  return fallback;
}

}  // namespace

int main(int argc, char** argv) {
  const std::span<char*> arguments(argv, static_cast<std::size_t>(argc));
  const std::int64_t operations = option(arguments, "--operations", 1'000'000);
  const std::int64_t seed = option(arguments, "--seed", 1);
  lua_host host(weir::tests::script_with_argument_clock());
  lua_host packs(weir::tests::pack_script_with_argument_clock());
  dice d(static_cast<std::uint64_t>(seed));
  for (std::int64_t done = 0; done < operations; done += steps_per_trial) {
    if (trial(d, host, packs).run()) continue;
    std::printf("seed %lld, after %lld operations: script and twin differ\n", static_cast<long long>(seed),
                static_cast<long long>(done));
    return 1;
  }
  std::printf("%lld operations, 0 differences\n", static_cast<long long>(operations));
  return 0;
}
