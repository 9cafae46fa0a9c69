// SPDX-License-Identifier: Apache-2.0
#include "proxy/http/rate_limit_emitters.hpp"

#include "proxy/decimal.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace weir::http {
namespace {

/// Room for one item of any list: name with quotes, five parameters of at most 8 + 20 bytes, the partition.
constexpr std::size_t item_room = max_item_name + 2 + 5 * 28 + 32;
/// Room for the names of all fields of one emitter and four single numbers.
constexpr std::size_t names_room = 256;

/// Writes into a buffer that is large enough for the longest text.
class line_writer {
 public:
  line_writer() noexcept = default;
  line_writer(const line_writer&) = delete;
  line_writer& operator=(const line_writer&) = delete;

  line_writer& operator<<(std::string_view text) noexcept {
    at_ = std::copy(text.begin(), text.end(), at_);
    return *this;
  }
  line_writer& operator<<(std::int64_t value) noexcept {
    at_ = proxy::put_decimal(at_, value);
    return *this;
  }
  /// sf-binary (RFC 9651 3.3.5).
  line_writer& operator<<(const identity::keyed_hash& hash) noexcept {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static_assert(sizeof(identity::keyed_hash) % 3 == 2, "the last group has two bytes and one pad");
    *at_++ = ':';
    for (std::size_t i = 0; i < hash.size(); i += 3) {
      const bool last = i + 2 == hash.size();
      const unsigned group = static_cast<unsigned>(hash[i]) << 16 | static_cast<unsigned>(hash[i + 1]) << 8 |
                             (last ? 0U : hash[i + 2]);
      *at_++ = digits[group >> 18];
      *at_++ = digits[group >> 12 & 63];
      *at_++ = digits[group >> 6 & 63];
      *at_++ = last ? '=' : digits[group & 63];
    }
    *at_++ = ':';
    return *this;
  }
  void append_to(std::string& out) const {
    out.append(text_.data(), static_cast<std::size_t>(at_ - text_.data()));
  }

 private:
  std::array<char, names_room + 2 * max_items * item_room> text_;
  char* at_ = text_.data();
};

void append_retry_after(std::string& out, const item_list& list) {
  if (list.retry_after_s < 0) return;
  line_writer to;
  to << "Retry-After: " << list.retry_after_s << "\r\n";
  to.append_to(out);
}

std::int64_t scaled(std::int64_t units, std::int64_t unit) noexcept {
  if (unit <= 1) return units;
  return units > max_sf_integer / unit ? max_sf_integer : units * unit;
}

/// draft-ietf-httpapi-ratelimit-headers-11. Quotas of bytes are told in bytes.
void append_draft_11(std::string& out, const item_list& list) {
  if (list.items.empty()) return;
  line_writer to;
  const auto put_name = [&](std::size_t k) { to << (k > 0 ? ", \"" : "\"") << list.items[k].name << "\""; };
  to << "RateLimit-Policy: ";
  for (std::size_t k = 0; k < list.items.size(); ++k) {
    const item& it = list.items[k];
    put_name(k);
    to << ";q=" << scaled(it.q, it.unit);
    if (it.unit > 0) to << ";qu=\"content-bytes\"";
    if (it.w > 0) {
      to << ";w=" << it.w;
    } else {
      to << ";qu=\"concurrent-requests\"";
    }
    if (list.partitions) to << ";pk=" << it.partition;
  }
  to << "\r\nRateLimit: ";
  for (std::size_t k = 0; k < list.items.size(); ++k) {
    const item& it = list.items[k];
    put_name(k);
    to << ";r=" << scaled(it.r, it.unit);
    if (it.t >= 0) to << ";t=" << it.t;
    if (list.partitions) to << ";pk=" << it.partition;
  }
  to << "\r\n";
  to.append_to(out);
}

/// `100;w=60, 1000;w=3600`: the policies of the drafts up to 07.
void put_windows(line_writer& to, const item_list& list, bool names) {
  for (std::size_t k = 0; k < list.items.size() && list.items[k].w > 0; ++k) {
    if (k > 0) to << ", ";
    to << list.items[k].q << ";w=" << list.items[k].w;
    if (names) to << ";name=\"" << list.items[k].name << "\"";
  }
}

/// Draft 07 demands a reset: where no wait helps, the window is the one that is not too short.
void append_draft_07(std::string& out, const item_list& list) {
  const item* closest = list.closest();
  if (closest == nullptr) return;
  line_writer to;
  to << "RateLimit-Policy: ";
  put_windows(to, list, false);
  to << "\r\nRateLimit: limit=" << closest->q << ", remaining=" << closest->r
     << ", reset=" << (closest->t >= 0 ? closest->t : closest->w) << "\r\n";
  to.append_to(out);
}

void append_draft_06(std::string& out, const item_list& list) {
  const item* closest = list.closest();
  if (closest == nullptr) return;
  line_writer to;
  to << "RateLimit-Limit: " << closest->q << "\r\nRateLimit-Policy: ";
  put_windows(to, list, false);
  to << "\r\nRateLimit-Remaining: " << closest->r << "\r\n";
  if (closest->t >= 0) to << "RateLimit-Reset: " << closest->t << "\r\n";
  to.append_to(out);
}

/// The end of both X-RateLimit forms.
void put_x_state(line_writer& to, const item_list& list, const item& closest) {
  to << "\r\nX-RateLimit-Remaining: " << closest.r << "\r\n";
  if (closest.t >= 0) to << "X-RateLimit-Reset: " << (list.epoch ? closest.t_epoch : closest.t) << "\r\n";
}

void append_x_ratelimit(std::string& out, const item_list& list) {
  const item* closest = list.closest();
  if (closest == nullptr) return;
  line_writer to;
  to << "X-RateLimit-Limit: " << closest->q;
  put_x_state(to, list, *closest);
  to.append_to(out);
}

void append_x_ratelimit_envoy(std::string& out, const item_list& list) {
  const item* closest = list.closest();
  if (closest == nullptr) return;
  line_writer to;
  to << "X-RateLimit-Limit: " << closest->q << ", ";
  put_windows(to, list, true);
  put_x_state(to, list, *closest);
  to.append_to(out);
}

constexpr std::array<rate_limit_emitter, 7> table{{
    {"retry-after", "", field_family::retry_after, append_retry_after},
    {"ratelimit", "the newest draft known, now 11", field_family::ratelimit, append_draft_11},
    {"ratelimit-11", "", field_family::ratelimit, append_draft_11},
    {"ratelimit-07", "", field_family::ratelimit, append_draft_07},
    {"ratelimit-06", "also drafts 00 to 05", field_family::ratelimit, append_draft_06},
    {"x-ratelimit", "", field_family::x_ratelimit, append_x_ratelimit},
    {"x-ratelimit-envoy", "with every window", field_family::x_ratelimit, append_x_ratelimit_envoy},
}};

}  // namespace

std::span<const rate_limit_emitter> rate_limit_emitters() noexcept {
  return table;
}

emitter_list default_emitters() {
  return {&table[0], &table[1]};
}

}  // namespace weir::http
