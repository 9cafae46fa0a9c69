// SPDX-License-Identifier: Apache-2.0
// Writes the members of a record into a string that has room for all of them: no bounds are checked again.
#pragma once

#include "proxy/decimal.hpp"
#include "proxy/observe/access_record.hpp"
#include "proxy/observe/json_writer.hpp"

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
  record_writer(std::string& out, const access_record& r, std::size_t names_room)
      : out_(out), room_(room_of_thread(names_room + room_for_values(r))), at_(room_.data()) {}
  record_writer(const record_writer&) = delete;
  record_writer& operator=(const record_writer&) = delete;

  /// A literal: its size is known when this is compiled, which makes the copy a few stores.
  template <std::size_t N>
  void put(const char (&literal)[N]) noexcept {
    at_ = std::copy_n(literal, N - 1, at_);
  }

  template <std::size_t N>
  void text(const char (&key)[N], std::string_view value) noexcept {
    if (value.empty()) return;
    put(key);
    at_ = put_json_string(at_, fitting(value));
  }

  /// A string, also when it is empty.
  void quoted(std::string_view value) noexcept { at_ = put_json_string(at_, fitting(value)); }

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
    for (const std::string_view value : values) {
      *at_++ = std::exchange(separator, ',');
      at_ = put_json_string(at_, value);
    }
    *at_++ = ']';
  }

  /// Request fields as an object; `listed`: each value in a list of one.
  template <std::size_t N>
  void fields(const char (&key)[N], std::span<const logged_field> values, bool listed) noexcept {
    if (values.empty()) return;
    put(key);
    char separator = '{';
    for (const logged_field& f : values) {
      *at_++ = std::exchange(separator, ',');
      at_ = put_json_string(at_, f.name);
      *at_++ = ':';
      if (listed) *at_++ = '[';
      at_ = put_json_string(at_, fitting(f.value));
      if (listed) *at_++ = ']';
    }
    *at_++ = '}';
  }

  template <std::size_t N>
  void time(const char (&key)[N], std::int64_t us) noexcept {
    put(key);
    at_ = put_json_time(at_, us);
  }

  template <std::size_t N, class Integer>
  void number(const char (&key)[N], Integer value) noexcept {
    put(key);
    at_ = put_decimal(at_, value);
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
    number(key, us / 1'000'000);
    *at_++ = '.';
    std::int64_t place = 100'000;
    for (std::int64_t rest = us % 1'000'000; place > 0; place /= 10) {
      *at_++ = static_cast<char>('0' + rest / place % 10);
    }
  }

  /// A text that is no JSON: `value` as it is but for what would end a quote or a line, `-` when empty.
  void plain(std::string_view value) noexcept;
  void two_digits(unsigned value) noexcept {
    *at_++ = static_cast<char>('0' + value / 10 % 10);
    *at_++ = static_cast<char>('0' + value % 10);
  }
  void plain_number(std::int64_t value) noexcept { at_ = put_decimal(at_, value); }
  void plain_milliseconds(std::int64_t us) noexcept { at_ = put_json_milliseconds(at_, us); }

  [[nodiscard]] bool truncated() const noexcept { return truncated_; }

  /// Appends what was written to the string; the last call. Not left to a destructor, which could not say
  /// that there is no memory for it.
  void finish() {
    assert(at_ <= room_.data() + room_.size());
    out_.append(room_.data(), static_cast<std::size_t>(at_ - room_.data()));
  }

 private:
  static std::size_t room_for_values(const access_record& r) noexcept;
  /// Kept and never shrunk, so that no record pays for making it; at most what the longest record needs.
  /// Memory is committed as far as records reach.
  static std::span<char> room_of_thread(std::size_t size);
  [[nodiscard]] std::string_view fitting(std::string_view value) noexcept;

  std::string& out_;
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
