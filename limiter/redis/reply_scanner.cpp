// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/reply_scanner.hpp"

#include "limiter/redis/reply_guard.hpp"

#include <charconv>
#include <optional>

namespace weir::limiter::redis {
namespace {

std::optional<std::int64_t> parse_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

reply_scanner::progress reply_scanner::scan(std::string_view bytes) {
  reply_.bytes = bytes;
  while (depth_ > 0 || missing_[0] > 0) {
    const progress element = scan_element(bytes);
    if (element != progress::complete) return element;
    while (depth_ > 0 && missing_[depth_] == 0) --depth_;
  }
  return progress::complete;
}

reply_scanner::progress reply_scanner::scan_element(std::string_view bytes) {
  const std::string_view rest = bytes.substr(seen_);
  const std::size_t end = rest.substr(0, max_text_line).find("\r\n");
  if (end == std::string_view::npos)
    return rest.size() < max_text_line ? progress::incomplete : progress::violation;
  if (end == 0 || seen_ + end + 2 > max_map_bytes) return progress::violation;
  const char type = rest.front();
  const std::string_view line = rest.substr(1, end - 1);
  const auto line_at = static_cast<std::uint32_t>(seen_ + 1);
  const std::size_t after = seen_ + end + 2;
  if (type == '+' || type == '-') {
    seen_ = after;
    return take({.type = type == '+' ? reply_token::kind::text : reply_token::kind::error,
                 .number = 0,
                 .offset = line_at,
                 .size = static_cast<std::uint32_t>(line.size())});
  }
  const auto number = parse_number(line);
  if (!number || end + 2 > max_header_line) return progress::violation;
  if (type == ':') {
    seen_ = after;
    return take({.type = reply_token::kind::integer, .number = *number, .offset = 0, .size = 0});
  }
  if (type != '*' && type != '$') return progress::violation;
  if (*number == -1) {
    seen_ = after;
    return take({});
  }
  if (*number < 0) return progress::violation;
  if (type == '*') {
    seen_ = after;
    return open_array(*number);
  }
  const auto size = static_cast<std::uint64_t>(*number);
  if (size > max_map_bytes || after + size + 2 > max_map_bytes) return progress::violation;
  if (bytes.size() < after + size + 2) return progress::incomplete;
  if (bytes.substr(after + size, 2) != "\r\n") return progress::violation;
  seen_ = after + size + 2;
  return take({.type = reply_token::kind::text,
               .number = 0,
               .offset = static_cast<std::uint32_t>(after),
               .size = static_cast<std::uint32_t>(size)});
}

reply_scanner::progress reply_scanner::open_array(std::int64_t elements) {
  if (static_cast<std::uint64_t>(elements) > max_map_elements || depth_ == max_map_depth)
    return progress::violation;
  const progress taken = take({.type = reply_token::kind::array, .number = elements, .offset = 0, .size = 0});
  missing_[++depth_] = static_cast<std::size_t>(elements);
  return taken;
}

reply_scanner::progress reply_scanner::take(reply_token token) {
  if (reply_.tokens.size() == max_map_elements) return progress::violation;
  reply_.tokens.push_back(token);
  --missing_[depth_];
  return progress::complete;
}

}  // namespace weir::limiter::redis
