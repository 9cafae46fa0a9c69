// SPDX-License-Identifier: Apache-2.0
#include "proxy/http/rate_limit_fields.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <numeric>

namespace weir::http {
namespace {

using limiter::charge;
using limiter::decision;
using limiter::header_visibility;

constexpr std::size_t max_items = 8;
constexpr std::size_t max_name = 64;                          // of a rule
constexpr std::int64_t max_sf_integer = 999'999'999'999'999;  // RFC 8941 section 3.3.1: 15 digits

/// What the fields say about one rule.
struct item {
  std::string_view name;
  std::int64_t q = 0;   ///< quota
  std::int64_t w = 0;   ///< window, s
  std::int64_t r = 0;   ///< remaining, <= q
  std::int64_t t = -1;  ///< seconds until more; -1 = no wait helps
};

/// Visible rules of one decision, closest first.
struct item_list {
  std::array<item, max_items> items;
  std::size_t size = 0;
};

/// Writes into a buffer that the caller has sized for the longest text.
class text_cursor {
 public:
  explicit text_cursor(char* at) noexcept : at_(at) {}
  void put(char c) noexcept { *at_++ = c; }
  void put(std::string_view text) noexcept {
    std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
  }
  void put(std::int64_t value) noexcept { at_ = std::to_chars(at_, at_ + 20, value).ptr; }
  [[nodiscard]] char* position() const noexcept { return at_; }

 private:
  char* at_;
};

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

item make_item(const charge& c, const limiter::rule_state& state) noexcept {
  item it;
  it.name = std::string_view(c.matched->name).substr(0, max_name);
  set_quota(it, c.quota());
  it.r = std::clamp<std::int64_t>(state.remaining, 0, it.q);
  if (state.allowed) {
    it.t = whole_seconds(state.reset_after_us);
  } else if (state.retry_after_us >= 0) {
    it.t = whole_seconds(state.retry_after_us);
  }
  return it;
}

/// Indices of the visible charges, the limiting one first, then by remaining share. More than max_items: the
/// farthest fall off.
item_list collect(std::span<const charge> charges, const decision& d) noexcept {
  std::array<std::size_t, max_items> order;
  std::size_t size = 0;
  const auto before = [&](std::size_t a, std::size_t b) {
    if (static_cast<int>(b) == d.limiting) return false;
    return static_cast<int>(a) == d.limiting || closer(charges, d, a, b);
  };
  for (std::size_t i = 0; i < decided(charges, d); ++i) {
    if (charges[i].matched->headers != header_visibility::visible || charges[i].shadow) continue;
    if (charges[i].quota().algorithm == limiter::algorithm::concurrency) continue;  // no units per window
    std::size_t at = size;
    while (at > 0 && before(i, order[at - 1])) --at;
    if (at == max_items) continue;
    if (size < max_items) ++size;
    for (std::size_t k = size - 1; k > at; --k) order[k] = order[k - 1];
    order[at] = i;
  }
  item_list list;
  list.size = size;
  for (std::size_t k = 0; k < size; ++k) {
    list.items[k] = make_item(charges[order[k]], d.states[order[k]]);
  }
  return list;
}

void append_retry_after(std::string& out, std::int64_t seconds) {
  if (seconds < 0) return;
  std::array<char, 48> line;
  text_cursor to(line.data());
  to.put("Retry-After: ");
  to.put(seconds);
  to.put("\r\n");
  out.append(line.data(), to.position());
}

void append_ratelimit(std::string& out, const item_list& list) {
  if (list.size == 0) return;
  // per item: quotes, separator, ";q=", ";w=" and two integers
  std::array<char, 2 * (24 + max_items * (max_name + 9 + 2 * 20))> lines;
  text_cursor to(lines.data());
  const auto put_name = [&](std::size_t k) {
    if (k > 0) to.put(", ");
    to.put('"');
    to.put(list.items[k].name);
    to.put('"');
  };
  to.put("RateLimit-Policy: ");
  for (std::size_t k = 0; k < list.size; ++k) {
    put_name(k);
    to.put(";q=");
    to.put(list.items[k].q);
    to.put(";w=");
    to.put(list.items[k].w);
  }
  to.put("\r\nRateLimit: ");
  for (std::size_t k = 0; k < list.size; ++k) {
    put_name(k);
    to.put(";r=");
    to.put(list.items[k].r);
    if (list.items[k].t < 0) continue;
    to.put(";t=");
    to.put(list.items[k].t);
  }
  to.put("\r\n");
  out.append(lines.data(), to.position());
}

void append_x_ratelimit(std::string& out, const item_list& list) {
  if (list.size == 0) return;
  const item& closest = list.items[0];
  std::array<char, 160> lines;
  text_cursor to(lines.data());
  to.put("X-RateLimit-Limit: ");
  to.put(closest.q);
  to.put("\r\nX-RateLimit-Remaining: ");
  to.put(closest.r);
  if (closest.t >= 0) {
    to.put("\r\nX-RateLimit-Reset: ");
    to.put(closest.t);
  }
  to.put("\r\n");
  out.append(lines.data(), to.position());
}

}  // namespace

std::int64_t whole_seconds(std::int64_t us) noexcept {
  if (us <= 0) return 0;
  return us / 1'000'000 + (us % 1'000'000 != 0 ? 1 : 0);
}

int closest_charge(std::span<const charge> charges, const decision& d) noexcept {
  std::size_t size = decided(charges, d);
  while (size > 0 && charges[size - 1].matched->slots)
    --size;  // slots are no rate; they stand behind the rules
  if (d.limiting >= 0 && static_cast<std::size_t>(d.limiting) < size) return d.limiting;
  int best = -1;
  for (std::size_t i = 0; i < size; ++i) {
    if (charges[i].shadow) continue;
    if (best < 0 || closer(charges, d, i, static_cast<std::size_t>(best))) best = static_cast<int>(i);
  }
  return best;
}

std::int64_t retry_after_seconds(std::span<const charge> charges, const decision& d) noexcept {
  if (d.verdict != limiter::verdict::deny) return -1;
  std::int64_t longest = 0;
  for (std::size_t i = 0; i < decided(charges, d); ++i) {
    if (passes(charges[i], d.states[i]) || charges[i].matched->headers == header_visibility::hidden) continue;
    if (d.states[i].retry_after_us < 0) return -1;
    longest = std::max<std::int64_t>({longest, 1, whole_seconds(d.states[i].retry_after_us)});
  }
  return longest > 0 ? longest : -1;
}

void append_rate_limit_fields(std::string& out, std::span<const charge> charges, const decision& d,
                              std::span<const proxy::rate_limit_header> emitters) {
  if (decided(charges, d) == 0) return;
  const item_list list = collect(charges, d);
  for (const proxy::rate_limit_header emitter : emitters) {
    switch (emitter) {
      case proxy::rate_limit_header::retry_after:
        append_retry_after(out, retry_after_seconds(charges, d));
        break;
      case proxy::rate_limit_header::ratelimit:
        append_ratelimit(out, list);
        break;
      case proxy::rate_limit_header::x_ratelimit:
        append_x_ratelimit(out, list);
        break;
    }
  }
}

}  // namespace weir::http
