// SPDX-License-Identifier: Apache-2.0
#include "proxy/observe/access_record.hpp"

#include "proxy/observe/json_writer.hpp"

#include <algorithm>
#include <cassert>
#include <charconv>
#include <utility>

namespace weir::proxy {
namespace {

constexpr std::size_t max_field = 2048;  // bytes of one value before it is cut

/// Not inside a UTF-8 sequence, which would turn a whole character into escapes.
std::string_view cut(std::string_view value) noexcept {
  std::size_t size = max_field;
  while (size > max_field - 4 && (static_cast<unsigned char>(value[size]) & 0xc0) == 0x80) --size;
  return value.substr(0, size);
}

/// Room for everything but the escaped values: 30 names of at most 18 bytes with their punctuation, the time,
/// and 11 numbers.
constexpr std::size_t fixed_room = 30 * 18 + json_time_room + 11 * json_milliseconds_room + 32;

/// Room that the record needs at most.
std::size_t room_for(const access_record& r) noexcept {
  std::size_t room = fixed_room;
  for (const std::string_view value : {r.request_id, r.client_ip, r.peer_ip, r.user_hash, r.method, r.path,
                                       r.query, r.host, r.proto, r.listener, r.route, r.upstream,
                                       r.upstream_addr, to_string(r.decision), r.rule, r.reason, r.exempt}) {
    room += json_string_room(std::min(value.size(), max_field));
  }
  for (const std::string_view name : r.shadow) room += 1 + json_string_room(name.size());
  return room;
}

/// Writes the members of one flat object into a buffer of the caller; absent values write nothing.
class record_writer {
 public:
  explicit record_writer(char* at) noexcept : at_(at) {}

  /// A literal: its size is known when this is compiled, which makes the copy a few stores.
  template <std::size_t N>
  void put(const char (&literal)[N]) noexcept {
    at_ = std::copy_n(literal, N - 1, at_);
  }

  /// `key` is `,"name":`.
  template <std::size_t N>
  void text(const char (&key)[N], std::string_view value) noexcept {
    if (value.empty()) return;
    put(key);
    if (value.size() > max_field) {
      value = cut(value);
      truncated_ = true;
    }
    at_ = put_json_string(at_, value);
  }

  /// Names of rules, which are short.
  template <std::size_t N>
  void list(const char (&key)[N], std::span<const std::string_view> values) noexcept {
    if (values.empty()) return;
    put(key);
    char separator = '[';
    for (const std::string_view value : values) {
      *at_++ = std::exchange(separator, ',');
      at_ = put_json_string(at_, value);
    }
    *at_++ = ']';
  }

  template <std::size_t N>
  void time(const char (&key)[N], std::int64_t us) noexcept {
    put(key);
    at_ = put_json_time(at_, us);
  }

  template <std::size_t N, class Integer>
  void number(const char (&key)[N], Integer value) noexcept {
    put(key);
    at_ = std::to_chars(at_, at_ + 20, value).ptr;
  }

  template <std::size_t N>
  void optional_number(const char (&key)[N], std::int64_t value) noexcept {
    if (value >= 0) number(key, value);
  }

  template <std::size_t N>
  void optional_milliseconds(const char (&key)[N], std::int64_t us) noexcept {
    if (us < 0) return;
    put(key);
    at_ = put_json_milliseconds(at_, us);
  }

  [[nodiscard]] bool truncated() const noexcept { return truncated_; }
  [[nodiscard]] const char* end() const noexcept { return at_; }

 private:
  char* at_;
  bool truncated_ = false;
};

}  // namespace

std::string_view to_string(record_decision d) noexcept {
  switch (d) {
    case record_decision::allow:
      return "allow";
    case record_decision::deny:
      return "deny";
    case record_decision::shadow_deny:
      return "shadow_deny";
    case record_decision::exempt:
      return "exempt";
    case record_decision::blocked:
      return "blocked";
    case record_decision::rejected:
      break;
  }
  return "rejected";
}

void append_json(std::string& out, const access_record& r) {
  const std::size_t before = out.size();
  out.resize(before + room_for(r));
  record_writer w(out.data() + before);
  w.time("{\"ts\":", r.time_us);
  w.text(",\"request_id\":", r.request_id);
  w.text(",\"client_ip\":", r.client_ip);
  w.text(",\"peer_ip\":", r.peer_ip);
  w.text(",\"user_hash\":", r.user_hash);
  w.text(",\"method\":", r.method);
  w.text(",\"path\":", r.path);
  w.text(",\"query\":", r.query);
  w.text(",\"host\":", r.host);
  w.text(",\"proto\":", r.proto);
  w.text(",\"listener\":", r.listener);
  w.text(",\"route\":", r.route);
  w.text(",\"upstream\":", r.upstream);
  w.text(",\"upstream_addr\":", r.upstream_addr);
  w.number(",\"status\":", r.status);
  w.text(",\"decision\":", to_string(r.decision));
  w.text(",\"rule\":", r.rule);
  w.text(",\"reason\":", r.reason);
  w.text(",\"exempt\":", r.exempt);
  w.list(",\"shadow\":", r.shadow);
  w.optional_number(",\"limit\":", r.limit);
  w.optional_number(",\"remaining\":", r.remaining);
  w.optional_milliseconds(",\"retry_after_ms\":", r.retry_after_us);
  w.optional_milliseconds(",\"duration_ms\":", r.duration_us);
  w.optional_milliseconds(",\"upstream_ms\":", r.upstream_us);
  w.optional_milliseconds(",\"limiter_ms\":", r.limiter_us);
  w.optional_milliseconds(",\"queue_ms\":", r.queue_us);
  w.number(",\"attempts\":", r.attempts);
  w.number(",\"bytes_in\":", r.bytes_in);
  w.number(",\"bytes_out\":", r.bytes_out);
  if (w.truncated()) w.put(",\"truncated\":true");
  w.put("}\n");
  assert(w.end() <= out.data() + out.size());
  out.resize(static_cast<std::size_t>(w.end() - out.data()));
}

}  // namespace weir::proxy
