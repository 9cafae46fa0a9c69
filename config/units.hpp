// SPDX-License-Identifier: Apache-2.0
// Quantities as written in a policy file. Integers are decimal, without sign and underscore; a unit is never
// guessed.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weir::config {

/// A value, or why the text is none and what to write instead.
template <class T>
struct parsed {
  std::optional<T> value;
  std::string message;
  std::string hint;
};

/// N units per period; nothing about ranges beyond what int64 holds.
struct rate {
  std::int64_t limit = 0;
  std::chrono::microseconds period{0};
  bool month = false;  ///< a calendar month, whose period here is 30 days
};

[[nodiscard]] parsed<std::int64_t> parse_integer(std::string_view text);
[[nodiscard]] parsed<bool> parse_boolean(std::string_view text);

/// `250us 50ms 1.5s 1m 1h 1d`; at most 3650 days, whole microseconds.
[[nodiscard]] parsed<std::chrono::microseconds> parse_duration(std::string_view text);

/// `512B 64KiB 1MiB 1GiB`, in bytes.
[[nodiscard]] parsed<std::uint64_t> parse_size(std::string_view text);

/// `N/second|minute|hour|day|month` or `N/DURATION`.
[[nodiscard]] parsed<rate> parse_rate(std::string_view text);

/// RFC 3339: `2027-01-31T00:00:00Z`, `...T02:00:00.5+02:00`; microseconds since the epoch, from 1970 on.
[[nodiscard]] parsed<std::int64_t> parse_instant(std::string_view text);

/// `SIZE/second`, in bytes per second.
[[nodiscard]] parsed<std::uint64_t> parse_byte_rate(std::string_view text);

/// `0%` ... `100%`.
[[nodiscard]] parsed<int> parse_percent(std::string_view text);

/// A duration as a user would write it: "600ms", "60s", "15m", "1d"; fractions to three digits.
[[nodiscard]] std::string format_duration(std::chrono::microseconds d);

/// A size as a user would write it: "64KiB", "500B".
[[nodiscard]] std::string format_size(std::uint64_t bytes);

}  // namespace weir::config
