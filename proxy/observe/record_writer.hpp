// SPDX-License-Identifier: Apache-2.0
// Writes the members of a record into a room for all of them: no bounds are checked again.
#pragma once

#include "proxy/observe/access_record.hpp"
#include "proxy/observe/json_writer.hpp"
#include "proxy/put.hpp"

#include <algorithm>
#include <cassert>
#include <span>
#include <utility>

namespace weir::proxy {

inline constexpr std::size_t max_logged_field = 2048;  ///< bytes of one value before it is cut

/// Absent values write nothing. Keys are literals `,"name":`, so whatever opens an object writes its first
/// member itself, one that is always there.
class record_writer {
 public:
  /// `names_room`: bytes that the names of all members need; values are counted by themselves.
  record_writer(const access_record& r, std::size_t names_room)
      : room_(room_for(r, names_room)), at_(room_.data()) {}
  record_writer(const record_writer&) = delete;
  record_writer& operator=(const record_writer&) = delete;

  template <typename... Pieces>
  void put(const Pieces&... pieces) noexcept {
    at_ = proxy::put(at_, pieces...);
  }

  template <std::size_t N>
  void text(const char (&key)[N], std::string_view value) noexcept {
    if (!value.empty()) put(key, json_string{fitting(value)});
  }

  template <std::size_t N>
  void text(const char (&key)[N], plain_text value) noexcept {
    if (!value.empty()) put(key, '"', value.view(), '"');
  }

  /// A string, also when it is empty.
  void quoted(std::string_view value) noexcept { put(json_string{fitting(value)}); }

  /// Path and query as one value.
  template <std::size_t N>
  void target(const char (&key)[N], const access_record& r) noexcept {
    if (r.path.empty()) return;
    text(key, r.path);
    if (r.query.empty()) return;
    --at_;  // the quote
    *at_++ = '?';
    char* const joint = at_;
    at_ = put_json_string(joint, fitting(r.query));
    std::copy(joint + 1, at_, joint);  // without its own first quote
    --at_;
  }

  /// Names of rules, which are short.
  template <std::size_t N>
  void list(const char (&key)[N], std::span<const std::string_view> values) noexcept {
    if (values.empty()) return;
    put(key);
    char separator = '[';
    for (const std::string_view value : values) put(std::exchange(separator, ','), json_string{value});
    put(']');
  }

  /// Request fields as an object; `listed`: each value in a list of one.
  template <std::size_t N>
  void fields(const char (&key)[N], std::span<const logged_field> values, bool listed) noexcept {
    if (values.empty()) return;
    put(key);
    char separator = '{';
    for (const logged_field& f : values) {
      put(std::exchange(separator, ','), json_string{f.name}, ':');
      if (listed) put('[');
      quoted(f.value);
      if (listed) put(']');
    }
    put('}');
  }

  template <std::size_t N>
  void time(const char (&key)[N], std::int64_t us) noexcept {
    put(key);
    at_ = put_json_time(at_, us);
  }

  template <std::size_t N, class Integer>
  void number(const char (&key)[N], Integer value) noexcept {
    put(key, value);
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

  /// Seconds with microseconds.
  template <std::size_t N>
  void seconds(const char (&key)[N], std::int64_t us) noexcept {
    put(key, us / 1'000'000, '.');
    at_ = put_three_digits(at_, static_cast<std::uint64_t>(us) / 1000);
    at_ = put_three_digits(at_, static_cast<std::uint64_t>(us));
  }

  /// A text that is no JSON: `value` as it is but for what would end a quote or a line, `-` when empty.
  void plain(std::string_view value) noexcept;
  void plain(plain_text value) noexcept { put(value.empty() ? "-" : value.view()); }
  void two_digits(unsigned value) noexcept { at_ = put_two_digits(at_, value); }
  void plain_milliseconds(std::int64_t us) noexcept { at_ = put_json_milliseconds(at_, us); }

  [[nodiscard]] bool truncated() const noexcept { return truncated_; }

  /// What was written: the last call. Lies where it is until the thread composes its next text.
  [[nodiscard]] std::string_view line() const noexcept {
    assert(at_ <= room_.data() + room_.size());
    return {room_.data(), static_cast<std::size_t>(at_ - room_.data())};
  }

 private:
  static std::span<char> room_for(const access_record& r, std::size_t names_room);
  [[nodiscard]] std::string_view fitting(std::string_view value) noexcept {
    return value.size() <= max_logged_field ? value : cut(value);
  }
  [[nodiscard]] std::string_view cut(std::string_view value) noexcept;

  std::span<char> room_;
  char* at_;
  bool truncated_ = false;
};

/// What a preset has columns for already.
struct preset_columns {
  bool request_id = false;
  bool trace = false;
  bool peer = false;
  bool rule_and_reason = false;
  bool route_and_upstream = false;
};

/// `,"weir":{...}`: every member that has no column in a preset, and that the record was truncated.
void put_remaining(record_writer& w, const access_record& r, preset_columns has);

}  // namespace weir::proxy
