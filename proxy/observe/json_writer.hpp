// SPDX-License-Identifier: Apache-2.0
// Writing JSON text into a string: escaping and numbers. No parsing (Boost.JSON does that where it is
// needed).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace weir::proxy {

/// Appends `text` as a JSON string with quotes. Control bytes, DEL and bytes that are not well-formed UTF-8
/// become \u00XX. The result is always valid JSON and valid UTF-8.
void append_json_string(std::string& out, std::string_view text);

/// Milliseconds with microsecond precision: 1234 -> "1.234".
void append_json_milliseconds(std::string& out, std::int64_t microseconds);

/// RFC 3339 UTC with milliseconds, quoted: "2026-01-01T00:00:00.000Z".
void append_json_time(std::string& out, std::int64_t microseconds_since_epoch);

// The same into a buffer of the caller, for the hot path. Each returns the end of what it wrote.

inline constexpr std::size_t json_time_room = 26;
inline constexpr std::size_t json_milliseconds_room = 24;
[[nodiscard]] constexpr std::size_t json_string_room(std::size_t text_size) noexcept {
  return 6 * text_size + 2;
}

[[nodiscard]] char* put_json_string(char* at, std::string_view text) noexcept;
[[nodiscard]] char* put_json_milliseconds(char* at, std::int64_t microseconds) noexcept;
[[nodiscard]] char* put_json_time(char* at, std::int64_t microseconds_since_epoch) noexcept;

/// A piece of put(): `text` as a JSON string.
struct json_string {
  std::string_view text;
};
[[nodiscard]] inline char* put_piece(char* at, json_string piece) noexcept {
  return put_json_string(at, piece.text);
}

/// True: `text` is printable ASCII without quotes and backslashes, which stands for itself in any quoted
/// text; it was copied to `at`. False: it is something else, and what lies at `at` is worthless.
[[nodiscard]] bool copy_plain(char* at, std::string_view text) noexcept;

}  // namespace weir::proxy
