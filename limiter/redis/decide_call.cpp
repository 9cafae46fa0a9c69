// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/decide_call.hpp"

#include "limiter/redis/decide_arguments.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace weir::limiter::redis {
namespace {

constexpr std::int64_t exact_limit = std::int64_t{1} << 53;
constexpr std::size_t reply_head = 2;      // now, m
constexpr std::size_t reply_per_rule = 5;  // allowed, remaining, retry, reset, D

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

}  // namespace

void append_decide(std::string& out, std::string_view command, std::string_view script,
                   std::string_view key_prefix, operation op, std::span<const charge> charges,
                   const decide_options& options) {
  argument_groups groups(charges.size());
  word_counts total = plan_arguments(op, charges, options.estimate_us, groups);
  if (options.since_us > 0) total.arguments += 2;
  if (options.clock_us >= 0) ++total.arguments;
  const std::size_t before = out.size();
  out.resize(before + room_for(command, script, key_prefix, total));
  command_writer writer(out.data() + before);
  writer.header('*', 3 + total.keys + total.arguments);
  writer.bulk(command);
  writer.bulk(script);
  writer.number(static_cast<std::int64_t>(total.keys));
  put_keys(writer, key_prefix, charges, groups);
  if (options.since_us > 0) {
    writer.bulk("cold");
    writer.number(options.since_us);
  }
  put_arguments(writer, op, options.k, charges, groups);
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

}  // namespace weir::limiter::redis
