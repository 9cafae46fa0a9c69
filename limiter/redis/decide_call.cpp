// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/decide_call.hpp"

#include "limiter/algorithms/algorithm.hpp"

#include <array>
#include <boost/container/small_vector.hpp>
#include <charconv>
#include <cstddef>

namespace weir::limiter::redis {
namespace {

constexpr std::int64_t exact_limit = std::int64_t{1} << 53;
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
  }
  return {};
}

/// Decimal text of a number on the stack.
class decimal {
 public:
  explicit decimal(std::int64_t value) noexcept
      : length_(static_cast<std::size_t>(std::to_chars(text_.data(), text_.data() + text_.size(), value).ptr -
                                         text_.data())) {}
  [[nodiscard]] std::string_view view() const noexcept { return {text_.data(), length_}; }

 private:
  std::array<char, 20> text_{};
  std::size_t length_;
};

void append_header(std::string& out, char type, std::size_t number) {
  out += type;
  out += decimal(static_cast<std::int64_t>(number)).view();
  out += "\r\n";
}

void append_bulk(std::string& out, std::string_view text) {
  append_header(out, '$', text.size());
  out += text;
  out += "\r\n";
}

void append_number(std::string& out, std::int64_t value) {
  append_bulk(out, decimal(value).view());
}

void append_key(std::string& out, std::string_view prefix, const charge& c,
                const algorithm_functions& algorithm) {
  const std::string_view subject = c.subject.view();
  const std::string_view rid = c.matched->rid.text();
  const std::size_t own = algorithm.own_key ? 2 + rid.size() : 0;
  append_header(out, '$', prefix.size() + 4 + subject.size() + own);
  out += prefix;
  out += "1:{";
  out += subject;
  out += '}';
  if (own != 0) {
    out += ':';
    out += algorithm.letter;
    out += rid;
  }
  out += "\r\n";
}

/// What the script reads for one charge.
struct argument_group {
  const algorithm_functions* algorithm = nullptr;
  parameters quota;
  std::int64_t key = 0;    // index into KEYS, from 1
  bool first_use = false;  // this charge names the key
};
using argument_groups = boost::container::small_vector<argument_group, 4>;

// Rules of one subject share its key, except those whose algorithm needs a key of its own. Returns the
// counts.
struct counts {
  std::size_t keys = 0;
  std::size_t arguments = 0;
};
counts plan(std::span<const charge> charges, argument_groups& groups) {
  counts total{0, 1};  // the operation
  groups.resize(charges.size());
  for (std::size_t i = 0; i < charges.size(); ++i) {
    argument_group& group = groups[i];
    const quota& q = charges[i].matched->quota;
    group.algorithm = &functions_of(q.algorithm);
    group.quota = group.algorithm->to_parameters(q);
    total.arguments += 4 + static_cast<std::size_t>(group.quota.count);
    for (std::size_t j = 0; j < i && group.key == 0 && !group.algorithm->own_key; ++j) {
      if (!groups[j].algorithm->own_key && charges[j].subject == charges[i].subject)
        group.key = groups[j].key;
    }
    group.first_use = group.key == 0;
    if (group.first_use) group.key = static_cast<std::int64_t>(++total.keys);
  }
  return total;
}

void append_group(std::string& out, const charge& c, const argument_group& group) {
  const rule_id& rid = c.matched->rid;
  append_bulk(out, {&group.algorithm->letter, 1});
  append_number(out, group.key);
  append_header(out, '$', rid.id.size() + rid.digits.size());
  out += rid.text();
  out += rid.digits_text();
  out += "\r\n";
  append_number(out, c.cost);
  for (int i = 0; i < group.quota.count; ++i) {
    append_number(out, group.quota.values[static_cast<std::size_t>(i)]);
  }
}

bool in_range(std::int64_t value, std::int64_t least) noexcept {
  return value >= least && value < exact_limit;
}

bool parse_rule(std::span<const std::int64_t, reply_per_rule> integers, bool committed, rule_state& state) {
  const auto [allowed, remaining, retry, reset, used] =
      std::array{integers[0], integers[1], integers[2], integers[3], integers[4]};
  if (!in_range(allowed, 0) || !in_range(remaining, 0) || !in_range(retry, -1) || !in_range(reset, 0) ||
      !in_range(used, 0)) {
    return false;
  }
  state.allowed = allowed > 0;
  if (state.allowed != (retry == 0)) return false;
  state.remaining = remaining;
  state.retry_after_us = retry;
  state.reset_after_us = reset;
  state.granted = committed ? allowed - 1 : 0;
  return true;
}

}  // namespace

void append_decide(std::string& out, std::string_view command, std::string_view script,
                   std::string_view key_prefix, operation op, std::span<const charge> charges,
                   std::int64_t clock_us) {
  argument_groups groups;
  const counts total = plan(charges, groups);
  append_header(out, '*', 3 + total.keys + total.arguments + (clock_us >= 0 ? 1 : 0));
  append_bulk(out, command);
  append_bulk(out, script);
  append_number(out, static_cast<std::int64_t>(total.keys));
  for (std::size_t i = 0; i < charges.size(); ++i) {
    if (groups[i].first_use) append_key(out, key_prefix, charges[i], *groups[i].algorithm);
  }
  append_bulk(out, name_of(op));
  for (std::size_t i = 0; i < charges.size(); ++i) append_group(out, charges[i], groups[i]);
  if (clock_us >= 0) append_number(out, clock_us);
}

std::size_t decide_reply_size(std::size_t charges) noexcept {
  return reply_head + reply_per_rule * charges;
}

bool parse_decide(std::span<const std::int64_t> integers, std::size_t charges, store_reply& reply) {
  if (charges == 0 || integers.size() != decide_reply_size(charges)) return false;
  if (!in_range(integers[0], 1) || !in_range(integers[1], 0) || integers[1] > 1) return false;
  const bool committed = integers[1] == 1;
  reply.now_us = integers[0];
  reply.states.resize(charges);
  bool all_allowed = true;
  for (std::size_t i = 0; i < charges; ++i) {
    rule_state& state = reply.states[i];
    const auto group = integers.subspan(reply_head + i * reply_per_rule).first<reply_per_rule>();
    if (!parse_rule(group, committed, state)) return false;
    all_allowed &= state.allowed;
  }
  return all_allowed == committed;
}

}  // namespace weir::limiter::redis
