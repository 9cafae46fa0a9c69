// SPDX-License-Identifier: Apache-2.0
#include "proxy/http/rate_limit_emitters.hpp"

#include "proxy/put.hpp"

#include <array>

namespace weir::http {
namespace {

using proxy::put;

/// sf-binary (RFC 9651 3.3.5).
char* put_partition(char* at, const identity::keyed_hash& hash) noexcept {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  static_assert(sizeof(identity::keyed_hash) % 3 == 2, "the last group has two bytes and one pad");
  at = put(at, ";pk=:");
  for (std::size_t i = 0; i < hash.size(); i += 3) {
    const bool last = i + 2 == hash.size();
    const unsigned group = static_cast<unsigned>(hash[i]) << 16 | static_cast<unsigned>(hash[i + 1]) << 8 |
                           (last ? 0U : hash[i + 2]);
    at = put(at, digits[group >> 18], digits[group >> 12 & 63], digits[group >> 6 & 63],
             last ? '=' : digits[group & 63]);
  }
  return put(at, ':');
}

char* put_retry_after(char* at, const item_list& list) noexcept {
  return list.retry_after_s < 0 ? at : put(at, "Retry-After: ", list.retry_after_s, "\r\n");
}

std::int64_t scaled(std::int64_t units, std::int64_t unit) noexcept {
  if (unit <= 1) return units;
  return units > max_sf_integer / unit ? max_sf_integer : units * unit;
}

/// draft-ietf-httpapi-ratelimit-headers-11. Quotas of bytes are told in bytes.
char* put_draft_11(char* at, const item_list& list) noexcept {
  if (list.items.empty()) return at;
  std::string_view before = "RateLimit-Policy: \"";
  for (const item& it : list.items) {
    at = put(at, before, it.name, "\";q=", scaled(it.q, it.unit));
    if (it.unit > 0) at = put(at, ";qu=\"content-bytes\"");
    at = it.w > 0 ? put(at, ";w=", it.w) : put(at, ";qu=\"concurrent-requests\"");
    if (list.partitions) at = put_partition(at, it.partition);
    before = ", \"";
  }
  before = "\r\nRateLimit: \"";
  for (const item& it : list.items) {
    at = put(at, before, it.name, "\";r=", scaled(it.r, it.unit));
    if (it.t >= 0) at = put(at, ";t=", it.t);
    if (list.partitions) at = put_partition(at, it.partition);
    before = ", \"";
  }
  return put(at, "\r\n");
}

/// `100;w=60, 1000;w=3600`: the policies of the drafts up to 07.
char* put_windows(char* at, const item_list& list, bool names) noexcept {
  for (std::size_t k = 0; k < list.items.size() && list.items[k].w > 0; ++k) {
    if (k > 0) at = put(at, ", ");
    at = put(at, list.items[k].q, ";w=", list.items[k].w);
    if (names) at = put(at, ";name=\"", list.items[k].name, '"');
  }
  return at;
}

/// Draft 07 demands a reset: where no wait helps, the window is the one that is not too short.
char* put_draft_07(char* at, const item_list& list) noexcept {
  const item* closest = list.closest();
  if (closest == nullptr) return at;
  at = put_windows(put(at, "RateLimit-Policy: "), list, false);
  return put(at, "\r\nRateLimit: limit=", closest->q, ", remaining=", closest->r,
             ", reset=", closest->t >= 0 ? closest->t : closest->w, "\r\n");
}

char* put_draft_06(char* at, const item_list& list) noexcept {
  const item* closest = list.closest();
  if (closest == nullptr) return at;
  at = put(at, "RateLimit-Limit: ", closest->q, "\r\nRateLimit-Policy: ");
  at = put(put_windows(at, list, false), "\r\nRateLimit-Remaining: ", closest->r, "\r\n");
  return closest->t < 0 ? at : put(at, "RateLimit-Reset: ", closest->t, "\r\n");
}

/// The end of both X-RateLimit forms.
char* put_x_state(char* at, const item_list& list, const item& closest) noexcept {
  at = put(at, "\r\nX-RateLimit-Remaining: ", closest.r, "\r\n");
  return closest.t < 0 ? at
                       : put(at, "X-RateLimit-Reset: ", list.epoch ? closest.t_epoch : closest.t, "\r\n");
}

char* put_x_ratelimit(char* at, const item_list& list) noexcept {
  const item* closest = list.closest();
  if (closest == nullptr) return at;
  return put_x_state(put(at, "X-RateLimit-Limit: ", closest->q), list, *closest);
}

char* put_x_ratelimit_envoy(char* at, const item_list& list) noexcept {
  const item* closest = list.closest();
  if (closest == nullptr) return at;
  at = put_windows(put(at, "X-RateLimit-Limit: ", closest->q, ", "), list, true);
  return put_x_state(at, list, *closest);
}

constexpr std::array<rate_limit_emitter, 7> table{{
    {"retry-after", "", field_family::retry_after, put_retry_after},
    {"ratelimit", "the newest draft known, now 11", field_family::ratelimit, put_draft_11},
    {"ratelimit-11", "", field_family::ratelimit, put_draft_11},
    {"ratelimit-07", "", field_family::ratelimit, put_draft_07},
    {"ratelimit-06", "also drafts 00 to 05", field_family::ratelimit, put_draft_06},
    {"x-ratelimit", "", field_family::x_ratelimit, put_x_ratelimit},
    {"x-ratelimit-envoy", "with every window", field_family::x_ratelimit, put_x_ratelimit_envoy},
}};

}  // namespace

std::span<const rate_limit_emitter> rate_limit_emitters() noexcept {
  return table;
}

emitter_list default_emitters() {
  return {&table[0], &table[1]};
}

}  // namespace weir::http
