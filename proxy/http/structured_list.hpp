// SPDX-License-Identifier: Apache-2.0
// Lists of strings with parameters, as RateLimit and RateLimit-Policy are written (RFC 9651).
#pragma once

#include <boost/container/static_vector.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace weir::http {

/// An integer parameter, and where it stands.
struct integer_parameter {
  std::string_view text;  ///< its digits in the list; empty: the item has none
  std::int64_t value = -1;
};

/// One member: a string. Views into the list.
struct string_item {
  std::string_view name;  ///< between the quotes, escapes as written
  std::string_view text;  ///< the whole member
  integer_parameter q, r, t, w;
};

inline constexpr std::size_t max_list_items = 32;
using string_list = boost::container::static_vector<string_item, max_list_items>;

/// Parses strictly; the items are views into `text`. Nothing when the text is no list of strings (RFC
/// 9651 4.2.1) or has more than max_list_items members. An empty list is one.
[[nodiscard]] std::optional<string_list> parse_string_list(std::string_view text);

/// The integer of a member of a dictionary (RFC 9651 4.2.2) whose members are all bare integers; nothing when
/// it is no such dictionary or lacks the key.
[[nodiscard]] std::optional<std::int64_t> integer_in_dictionary(std::string_view text, std::string_view key);

/// A non-negative integer of at most 15 digits and nothing else.
[[nodiscard]] std::optional<std::int64_t> parse_whole_number(std::string_view text) noexcept;

}  // namespace weir::http
