// SPDX-License-Identifier: Apache-2.0
#include "proxy/observe/record_writer.hpp"

#include "proxy/thread_room.hpp"

namespace weir::proxy {

/// All values at their longest, but for those that few records have: cheaper than to add up what each needs.
std::span<char> record_writer::room_for(const access_record& r, std::size_t names_room) {
  constexpr std::size_t texts = 24;
  constexpr std::size_t numbers = 12;
  constexpr std::size_t punctuation = 64;
  std::size_t room = names_room + texts * json_string_room(max_logged_field) + 2 * json_time_room +
                     numbers * json_milliseconds_room + punctuation;
  const auto room_of = [](std::string_view value) {
    return json_string_room(std::min(value.size(), max_logged_field));
  };
  for (const std::string_view name : r.shadow) room += 1 + room_of(name);
  for (const logged_field& f : r.headers) room += 4 + room_of(f.name) + room_of(f.value);
  return thread_room(room);
}

/// Not cut inside a UTF-8 sequence, which would turn a whole character into escapes.
std::string_view record_writer::cut(std::string_view value) noexcept {
  truncated_ = true;
  std::size_t size = max_logged_field;
  while (size > max_logged_field - 4 && (static_cast<unsigned char>(value[size]) & 0xc0) == 0x80) --size;
  return value.substr(0, size);
}

void record_writer::plain(std::string_view value) noexcept {
  constexpr std::string_view hex = "0123456789abcdef";
  if (value.empty()) return put('-');
  value = fitting(value);
  if (copy_plain(at_, value)) {
    at_ += value.size();
    return;
  }
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (is_plain(c)) {
      put(c);
    } else {
      put("\\x", hex[byte >> 4], hex[byte & 15]);
    }
  }
}

void put_remaining(record_writer& w, const access_record& r, preset_columns has) {
  w.text(",\"weir\":{\"decision\":", plain_text(to_string(r.decision)));
  if (!has.rule_and_reason) {
    w.text(",\"rule\":", r.rule);
    w.text(",\"reason\":", r.reason);
  }
  w.text(",\"key_hash\":", r.key_hash);
  w.text(",\"exempt\":", r.exempt);
  w.list(",\"shadow\":", r.shadow);
  w.optional_number(",\"limit\":", r.limit);
  w.optional_number(",\"remaining\":", r.remaining);
  w.optional_milliseconds(",\"retry_after_ms\":", r.retry_after_us);
  w.optional_milliseconds(",\"upstream_ms\":", r.upstream_us);
  w.optional_milliseconds(",\"limiter_ms\":", r.limiter_us);
  w.optional_milliseconds(",\"queue_ms\":", r.queue_us);
  w.text(",\"listener\":", r.listener);
  if (!has.route_and_upstream) {
    w.text(",\"route\":", r.route);
    w.text(",\"upstream\":", r.upstream);
    w.text(",\"upstream_addr\":", r.upstream_addr);
  }
  w.number(",\"attempts\":", r.attempts);
  w.text(",\"user_hash\":", r.user_hash);
  if (!has.peer) w.text(",\"peer_ip\":", r.peer_ip);
  if (!has.request_id) w.text(",\"request_id\":", r.request_id);
  if (!has.trace) {
    w.text(",\"trace_id\":", r.trace_id);
    w.text(",\"span_id\":", r.span_id);
  }
  w.text(",\"pod\":", r.pod);
  w.text(",\"namespace\":", r.pod_namespace);
  w.text(",\"node\":", r.node);
  if (w.truncated()) w.put(",\"truncated\":true");
  w.put("}");
}

}  // namespace weir::proxy
