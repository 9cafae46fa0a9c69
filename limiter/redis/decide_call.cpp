// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/decide_call.hpp"

#include "limiter/algorithms/algorithm.hpp"

#include <algorithm>
#include <array>
#include <boost/container/small_vector.hpp>
#include <charconv>
#include <cstddef>

namespace weir::limiter::redis {
namespace {

constexpr std::int64_t exact_limit = std::int64_t{1} << 53;
constexpr std::size_t longest_holder = 40;
constexpr std::size_t reply_head = 2;      // now, m
constexpr std::size_t reply_per_rule = 5;  // allowed, remaining, retry, reset, D

constexpr std::string_view name_of(operation op) noexcept {
  switch (op) {
    case operation::take:
      return "take";
    case operation::peek:
      return "peek";
    case operation::refund:
      return "refund";
    case operation::take_upto:
      return "take_upto";
    case operation::renew:
      return "renew";
  }
  return {};
}

/// Writes RESP into space that is known to suffice: a command is one growth of the output, then plain stores.
class command_writer {
 public:
  static constexpr std::size_t longest_number = 20;
  static constexpr std::size_t frame = 1 + longest_number + 2 + 2;  // `$`, length, two line ends

  explicit command_writer(char* at) noexcept : at_(at) {}

  void put(char c) noexcept { *at_++ = c; }
  void put(std::string_view text) noexcept { at_ = std::copy_n(text.data(), text.size(), at_); }

  void header(char type, std::size_t number) noexcept {
    put(type);
    if (number >= 100) {
      at_ = std::to_chars(at_, at_ + longest_number, number).ptr;
    } else {  // nearly every length and count
      if (number >= 10) put(static_cast<char>('0' + number / 10));
      put(static_cast<char>('0' + number % 10));
    }
    put("\r\n");
  }
  void bulk(std::string_view text) noexcept {
    header('$', text.size());
    put(text);
    put("\r\n");
  }
  void number(std::int64_t value) noexcept {
    if (value >= 0 && value < 10) {
      put("$1\r\n");
      put(static_cast<char>('0' + value));
      put("\r\n");
      return;
    }
    std::array<char, longest_number> text;
    const char* const end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
    bulk({text.data(), static_cast<std::size_t>(end - text.data())});
  }
  [[nodiscard]] const char* end() const noexcept { return at_; }

 private:
  char* at_;
};

constexpr std::size_t key_overhead = 4 + 2 + 4;  // `1:{`, `}`, `:` and letter, rid

/// `own_key`: the letter of a key of the rule's own, 0 = the key of the subject's value.
void put_key(command_writer& out, std::string_view prefix, const charge& c, char own_key) {
  const std::string_view subject = c.subject_name();
  const std::string_view rid = c.matched->rid.text();
  const std::size_t own = own_key != 0 ? 2 + rid.size() : 0;
  out.header('$', prefix.size() + 4 + subject.size() + own);
  out.put(prefix);
  out.put("1:{");
  out.put(subject);
  out.put('}');
  if (own != 0) {
    out.put(':');
    out.put(own_key);
    out.put(rid);
  }
  out.put("\r\n");
}

/// What the script reads for one charge. Keys are indices into KEYS, from 1; 0 = none.
struct argument_group {
  const algorithm_functions* algorithm = nullptr;
  parameters quota;
  std::int64_t own_key = 0;      // of the rule alone
  std::int64_t value_key = 0;    // of the subject's value: the state is there, or the penalty
  bool names_value_key = false;  // it is the first to need it
  std::int64_t penalty_us = 0;
};
using argument_groups = boost::container::small_vector<argument_group, 4>;

std::int64_t known_value_key(std::span<const charge> charges, std::span<const argument_group> groups,
                             std::size_t i) {
  for (std::size_t j = 0; j < i; ++j) {
    if (groups[j].value_key != 0 && charges[j].subject == charges[i].subject) return groups[j].value_key;
  }
  return 0;
}

// Rules of one subject share its key, except those whose algorithm needs a key of its own. Returns the
// counts.
struct counts {
  std::size_t keys = 0;
  std::size_t arguments = 0;
};
counts plan(operation op, std::span<const charge> charges, std::int64_t estimate_us,
            std::span<argument_group> groups) {
  const std::size_t common = op == operation::refund ? 5 : 4;
  counts total{0, 2};  // the operation and k
  for (std::size_t i = 0; i < charges.size(); ++i) {
    argument_group& group = groups[i];
    const quota& q = charges[i].quota();
    group.algorithm = &functions_of(q);
    group.quota = group.algorithm->to_parameters(q, estimate_us);
    group.penalty_us = admits(op) ? charges[i].matched->penalty_us : 0;
    total.arguments += common + static_cast<std::size_t>(group.quota.count) +
                       (group.algorithm->id == algorithm::concurrency ? 1 : 0) +
                       (group.penalty_us > 0 ? 2 : 0);
    if (group.algorithm->own_key != 0) group.own_key = static_cast<std::int64_t>(++total.keys);
    if (group.own_key != 0 && group.penalty_us == 0) continue;
    group.value_key = known_value_key(charges, groups, i);
    group.names_value_key = group.value_key == 0;
    if (group.names_value_key) group.value_key = static_cast<std::int64_t>(++total.keys);
  }
  return total;
}

void put_keys(command_writer& out, std::string_view prefix, std::span<const charge> charges,
              std::span<const argument_group> groups) {
  for (std::size_t i = 0; i < charges.size(); ++i) {
    if (groups[i].own_key != 0) put_key(out, prefix, charges[i], groups[i].algorithm->own_key);
    if (groups[i].names_value_key) put_key(out, prefix, charges[i], 0);
  }
}

/// The letter of the algorithm; of a shadow charge the capital one, with `!` behind it when there is a
/// penalty.
void put_letter(command_writer& out, char letter, bool shadow, bool penalty) {
  if (shadow) letter = static_cast<char>(letter - 'a' + 'A');
  const std::array<char, 2> marked{letter, '!'};
  out.bulk({marked.data(), penalty ? std::size_t{2} : std::size_t{1}});
}

void put_name(command_writer& out, const rule_id& rid) {
  out.header('$', rid.id.size() + rid.digits.size());
  out.put(rid.text());
  out.put(rid.digits_text());
  out.put("\r\n");
}

void put_group(command_writer& out, operation op, const charge& c, const argument_group& group) {
  put_letter(out, group.algorithm->letter, c.shadow && admits(op), group.penalty_us > 0);
  out.number(group.own_key != 0 ? group.own_key : group.value_key);
  put_name(out, c.matched->rid);
  out.number(c.cost);
  if (op == operation::refund) out.number(c.charged_at_us);
  if (group.penalty_us > 0) {
    out.number(group.value_key);
    out.number(group.penalty_us);
  }
  for (int i = 0; i < group.quota.count; ++i) out.number(group.quota.values[static_cast<std::size_t>(i)]);
  if (group.algorithm->id == algorithm::concurrency) out.bulk(c.holder.substr(0, longest_holder));
}

constexpr std::size_t lone_bucket_arguments = 5;
constexpr std::size_t pack_head = 3;  // numbers of keys, arguments and rules

bool is_lone_bucket(std::span<const charge> charges, std::span<const argument_group> groups) noexcept {
  return groups.size() == 1 && groups.front().algorithm->id == algorithm::token_bucket &&
         groups.front().quota.values[0] == 1 && groups.front().penalty_us == 0 && !charges.front().shadow;
}

void put_packed(command_writer& out, std::span<const charge> charges, std::span<const argument_group> groups,
                const counts& own) {
  if (is_lone_bucket(charges, groups)) {
    const auto& quota = groups.front().quota.values;
    out.bulk("t");
    put_name(out, charges.front().matched->rid);
    out.number(charges.front().cost);
    out.number(quota[1]);
    return out.number(quota[2]);
  }
  out.number(static_cast<std::int64_t>(own.keys));
  out.number(static_cast<std::int64_t>(own.arguments));
  out.number(static_cast<std::int64_t>(charges.size()));
  out.bulk(name_of(operation::take));
  out.number(1);
  for (std::size_t i = 0; i < charges.size(); ++i) put_group(out, operation::take, charges[i], groups[i]);
}

/// Bytes the command needs at most.
std::size_t room_for(std::string_view command, std::string_view script, std::string_view key_prefix,
                     const counts& total) noexcept {
  constexpr std::size_t argument = command_writer::frame + longest_holder;
  const std::size_t key = command_writer::frame + key_prefix.size() + key_overhead + longest_readable_name;
  return 5 * argument + command.size() + script.size() + total.keys * key + total.arguments * argument;
}

bool in_range(std::int64_t value, std::int64_t least) noexcept {
  return value >= least && value < exact_limit;
}

bool parse_rule(std::span<const std::int64_t, reply_per_rule> integers, operation op, bool committed,
                rule_state& state) {
  const auto [allowed, remaining, retry, reset, used] =
      std::array{integers[0], integers[1], integers[2], integers[3], integers[4]};
  if (!in_range(allowed, 0) || !in_range(remaining, 0) || !in_range(retry, -1) || !in_range(reset, 0) ||
      !in_range(used, 0)) {
    return false;
  }
  state.allowed = allowed > 0;
  const bool waits = op != operation::refund && op != operation::renew;  // these are denied without a wait
  if (waits ? state.allowed != (retry == 0) : retry != 0) return false;
  state.remaining = remaining;
  state.retry_after_us = retry;
  state.reset_after_us = reset;
  state.granted = committed && state.allowed ? allowed - 1 : 0;
  state.used = used;
  return true;
}

/// `integers`: m, then those of each rule.
bool parse_decision(std::int64_t now_us, std::span<const std::int64_t> integers, operation op,
                    std::size_t charges, store_reply& reply, std::int64_t k, std::uint32_t shadow) {
  if (!in_range(integers[0], 0) || integers[0] > k) return false;
  reply.now_us = now_us;
  reply.admitted = integers[0];
  reply.states.resize(charges);
  bool all_allowed = true;
  for (std::size_t i = 0; i < charges; ++i) {
    rule_state& state = reply.states[i];
    const auto group = integers.subspan(1 + i * reply_per_rule).first<reply_per_rule>();
    if (!parse_rule(group, op, reply.admitted > 0, state)) return false;
    all_allowed &= state.allowed || (shadow >> i & 1) != 0;
  }
  return all_allowed == (reply.admitted == k);
}

}  // namespace

void append_decide(std::string& out, std::string_view command, std::string_view script,
                   std::string_view key_prefix, operation op, std::span<const charge> charges,
                   const decide_options& options) {
  argument_groups groups(charges.size());
  counts total = plan(op, charges, options.estimate_us, groups);
  if (options.since_us > 0) total.arguments += 2;
  const std::size_t before = out.size();
  out.resize(before + room_for(command, script, key_prefix, total));
  command_writer writer(out.data() + before);
  writer.header('*', 3 + total.keys + total.arguments + (options.clock_us >= 0 ? 1 : 0));
  writer.bulk(command);
  writer.bulk(script);
  writer.number(static_cast<std::int64_t>(total.keys));
  put_keys(writer, key_prefix, charges, groups);
  if (options.since_us > 0) {
    writer.bulk("cold");
    writer.number(options.since_us);
  }
  writer.bulk(name_of(op));
  writer.number(options.k);
  for (std::size_t i = 0; i < charges.size(); ++i) put_group(writer, op, charges[i], groups[i]);
  if (options.clock_us >= 0) writer.number(options.clock_us);
  out.resize(static_cast<std::size_t>(writer.end() - out.data()));
}

void append_pack(std::string& out, std::string_view script, std::string_view key_prefix,
                 std::span<const std::span<const charge>> decisions, const decide_options& options) {
  boost::container::small_vector<argument_group, 64> groups;
  boost::container::small_vector<counts, 32> each;
  counts total;
  std::size_t charges = 0;
  std::size_t room = 0;
  for (const auto& decision : decisions) {
    charges += decision.size();
    groups.resize(charges);
    const auto own = std::span(groups).last(decision.size());
    each.push_back(plan(operation::take, decision, options.estimate_us, own));
    total.keys += each.back().keys;
    total.arguments +=
        is_lone_bucket(decision, own) ? lone_bucket_arguments : pack_head + each.back().arguments;
    room += room_for("EVALSHA", script, key_prefix, each.back());
  }
  const std::size_t before = out.size();
  out.resize(before + room);
  command_writer writer(out.data() + before);
  writer.header('*', 3 + total.keys + total.arguments + (options.clock_us >= 0 ? 1 : 0));
  writer.bulk("EVALSHA");
  writer.bulk(script);
  writer.number(static_cast<std::int64_t>(total.keys));
  const argument_group* group = groups.data();
  for (const auto& decision : decisions) {
    put_keys(writer, key_prefix, decision, {group, decision.size()});
    group += decision.size();
  }
  group = groups.data();
  for (std::size_t i = 0; i < decisions.size(); ++i) {
    put_packed(writer, decisions[i], {group, decisions[i].size()}, each[i]);
    group += decisions[i].size();
  }
  if (options.clock_us >= 0) writer.number(options.clock_us);
  out.resize(static_cast<std::size_t>(writer.end() - out.data()));
}

bool may_be_cold(std::span<const charge> charges, std::int64_t since_us, std::int64_t now_us) noexcept {
  constexpr std::int64_t error_us = 10'000'000;  // of `now_us`, which is an estimate
  return since_us > 0 && std::any_of(charges.begin(), charges.end(), [&](const charge& c) {
           return now_us - since_us < forgotten_after_us(c.quota()) + error_us;
         });
}

std::size_t decide_reply_size(std::size_t charges) noexcept {
  return reply_head + reply_per_rule * charges;
}

bool parse_decide(std::span<const std::int64_t> integers, operation op, std::size_t charges,
                  store_reply& reply, std::int64_t k, std::uint32_t shadow) {
  return charges > 0 && integers.size() == decide_reply_size(charges) && in_range(integers[0], 1) &&
         parse_decision(integers[0], integers.subspan(1), op, charges, reply, k, shadow);
}

std::size_t pack_reply_size(std::size_t decisions, std::size_t charges) noexcept {
  return 1 + decisions + reply_per_rule * charges;
}

pack_answer parse_packed(std::span<const std::int64_t> integers, std::size_t& position, std::size_t charges,
                         store_reply& reply, std::uint32_t shadow) {
  const std::size_t size = pack_reply_size(1, charges) - 1;
  if (charges == 0 || position == 0 || position + size > integers.size() || !in_range(integers[0], 1))
    return pack_answer::malformed;
  const auto own = integers.subspan(position, size);
  position += size;
  if (own.front() == -1) return pack_answer::failed;
  return parse_decision(integers[0], own, operation::take, charges, reply, 1, shadow)
             ? pack_answer::decided
             : pack_answer::malformed;
}

}  // namespace weir::limiter::redis
