// SPDX-License-Identifier: Apache-2.0
#include "proxy/http/rate_limit_items.hpp"

#include "limiter/sha256.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>

namespace weir::http {
namespace {

using limiter::charge;
using limiter::decision;
using limiter::header_visibility;

std::size_t decided(std::span<const charge> charges, const decision& d) noexcept {
  return std::min(charges.size(), d.states.size());
}

/// Is charge a nearer to its limit than b? Shares of the capacity, compared without a division.
bool closer(std::span<const charge> charges, const decision& d, std::size_t a, std::size_t b) noexcept {
  const auto share = [&](std::size_t left, std::size_t right) {
    return static_cast<double>(d.states[left].remaining) * static_cast<double>(charges[right].quota().burst);
  };
  return share(a, b) < share(b, a);
}

/// A calendar month has no fixed length; its w is that of 30 days, and t tells when it really ends.
/// A window that is no whole number of seconds is scaled up together with its quota: 10 per 1.5 s is 20 per 3
/// s.
void set_quota(item& it, const limiter::quota& quota) noexcept {
  constexpr std::int64_t second = 1'000'000;
  if (quota.period_us % second == 0) {
    it.q = quota.limit;
    it.w = quota.period_us / second;
    return;
  }
  const std::int64_t common = std::gcd(quota.period_us, second);
  it.q = std::min(quota.limit * (second / common), max_sf_integer);
  it.w = std::min(quota.period_us / common, max_sf_integer);
}

std::int64_t bytes_of_a_unit(const limiter::rule& rule) noexcept {
  using source = limiter::response_cost::source;
  if (!rule.response_cost) return 0;
  const source actual = rule.response_cost->actual;
  const bool bytes =
      actual == source::request_bytes || actual == source::response_bytes || actual == source::both_bytes;
  return bytes ? rule.response_cost->unit : 0;
}

void fill(item& it, const charge& c, const limiter::rule_state& state, const item_options& options) {
  const limiter::rule& rule = *c.matched;
  it.name = std::string_view(rule.name).substr(0, max_item_name);
  if (rule.slots) {
    it.q = c.quota().limit;
  } else {
    set_quota(it, c.quota());
  }
  it.unit = bytes_of_a_unit(rule);
  it.r = std::clamp<std::int64_t>(state.remaining, 0, it.q);
  if (options.partitions != nullptr) it.partition = options.partitions->of(c.subject);
  if (rule.slots) return;  // nobody knows when a slot gets free
  const std::int64_t wait_us = state.allowed ? state.reset_after_us : state.retry_after_us;
  if (wait_us < 0) return;
  it.t = whole_seconds(wait_us);
  if (options.epoch) it.t_epoch = whole_seconds(options.wall_now_us + wait_us);
}

}  // namespace

/// The limiting rule first, then by remaining share, slots last. More than max_items: the farthest fall off.
item_list collect_items(std::span<const charge> charges, const decision& d, const item_options& options) {
  std::array<std::size_t, max_items> order;
  std::size_t size = 0;
  const auto before = [&](std::size_t a, std::size_t b) {
    const bool a_slots = charges[a].matched->slots.has_value();
    if (a_slots != charges[b].matched->slots.has_value()) return !a_slots;
    if (static_cast<int>(b) == d.limiting) return false;
    return static_cast<int>(a) == d.limiting || closer(charges, d, a, b);
  };
  const std::size_t all = decided(charges, d);
  for (std::size_t i = 0; i < all; ++i) {
    if (charges[i].matched->headers != header_visibility::visible || charges[i].shadow) continue;
    if (!d.states[i].known()) continue;
    std::size_t at = size;
    while (at > 0 && before(i, order[at - 1])) --at;
    if (at == max_items) continue;
    if (size < max_items) ++size;
    for (std::size_t k = size - 1; k > at; --k) order[k] = order[k - 1];
    order[at] = i;
  }
  item_list list;
  list.retry_after_s = retry_after_seconds(charges, d);
  list.epoch = options.epoch;
  list.partitions = options.partitions != nullptr;
  for (std::size_t k = 0; k < size; ++k) {
    fill(list.items.emplace_back(), charges[order[k]], d.states[order[k]], options);
  }
  return list;
}

std::int64_t whole_seconds(std::int64_t us) noexcept {
  return us <= 0 ? 0 : (us - 1) / 1'000'000 + 1;
}

int closest_charge(std::span<const charge> charges, const decision& d) noexcept {
  std::size_t size = decided(charges, d);
  while (size > 0 && charges[size - 1].matched->slots)
    --size;  // slots are no rate; they stand behind the rules
  if (d.limiting >= 0 && static_cast<std::size_t>(d.limiting) < size) return d.limiting;
  int best = -1;
  for (std::size_t i = 0; i < size; ++i) {
    if (charges[i].shadow || !d.states[i].known()) continue;
    if (best < 0 || closer(charges, d, i, static_cast<std::size_t>(best))) best = static_cast<int>(i);
  }
  return best;
}

policy_names violated_policies(std::span<const charge> charges, const decision& d) {
  policy_names names;
  for (std::size_t i = 0; i < decided(charges, d) && names.size() < max_items; ++i) {
    const bool visible = charges[i].matched->headers == header_visibility::visible;
    if (visible && !passes(charges[i], d.states[i])) names.emplace_back(charges[i].matched->name);
  }
  return names;
}

std::int64_t retry_after_seconds(std::span<const charge> charges, const decision& d) noexcept {
  if (d.verdict != limiter::verdict::deny) return -1;
  std::int64_t longest_us = 0;
  const std::size_t all = decided(charges, d);
  for (std::size_t i = 0; i < all; ++i) {
    if (passes(charges[i], d.states[i]) || charges[i].matched->headers == header_visibility::hidden) continue;
    if (d.states[i].retry_after_us < 0) return -1;
    longest_us = std::max<std::int64_t>({longest_us, 1, d.states[i].retry_after_us});
  }
  return longest_us > 0 ? whole_seconds(longest_us) : -1;
}

}  // namespace weir::http
