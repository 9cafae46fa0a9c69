// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/slots.hpp"

#include <algorithm>
#include <boost/crc.hpp>
#include <charconv>

namespace weir::limiter::redis {
namespace {

template <class Number>
std::optional<Number> whole_number(std::string_view text, Number limit) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value > limit) return std::nullopt;
  return value;
}

/// "127.0.0.1:6381", "::1:6381", ":6381"; a cluster bus suffix "@..." is cut.
std::optional<redis_address> parse_address(std::string_view text) {
  text = text.substr(0, text.find('@'));
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto port = whole_number<std::uint16_t>(text.substr(colon + 1), 65535);
  if (!port || *port == 0) return std::nullopt;
  redis_address address;
  address.host = text.substr(0, colon);
  if (address.host == "?") address.host.clear();  // a node that does not know its own name
  address.port = *port;
  return address;
}

/// Walks the tokens of a reply in order.
class token_walk {
 public:
  explicit token_walk(const scanned_reply& reply) : reply_(reply) {}

  [[nodiscard]] std::optional<std::size_t> array() {
    const auto* token = next(reply_token::kind::array);
    return token == nullptr ? std::nullopt : std::optional(static_cast<std::size_t>(token->number));
  }
  [[nodiscard]] std::optional<std::int64_t> integer(std::int64_t limit) {
    const auto* token = next(reply_token::kind::integer);
    if (token == nullptr || token->number < 0 || token->number > limit) return std::nullopt;
    return token->number;
  }
  /// A nil counts as an empty text.
  [[nodiscard]] std::optional<std::string_view> text() {
    if (at_ < reply_.tokens.size() && reply_.tokens[at_].type == reply_token::kind::nil) {
      ++at_;
      return std::string_view{};
    }
    const auto* token = next(reply_token::kind::text);
    return token == nullptr ? std::nullopt : std::optional(reply_.text(*token));
  }
  /// Whatever stands here, with everything inside it.
  void skip() {
    for (std::size_t missing = 1; missing > 0 && at_ < reply_.tokens.size(); --missing, ++at_) {
      if (reply_.tokens[at_].type == reply_token::kind::array)
        missing += static_cast<std::size_t>(reply_.tokens[at_].number);
    }
  }

 private:
  const reply_token* next(reply_token::kind wanted) {
    if (at_ == reply_.tokens.size() || reply_.tokens[at_].type != wanted) return nullptr;
    return &reply_.tokens[at_++];
  }
  const scanned_reply& reply_;
  std::size_t at_ = 0;
};

/// [first, last, [host, port, ...], replica...]
std::optional<slot_range> read_range(token_walk& walk) {
  const auto elements = walk.array();
  if (!elements || *elements < 3) return std::nullopt;
  const auto first = walk.integer(slot_count - 1);
  const auto last = walk.integer(slot_count - 1);
  const auto parts = walk.array();
  if (!first || !last || *first > *last || !parts || *parts < 2) return std::nullopt;
  const auto host = walk.text();
  const auto port = walk.integer(65535);
  if (!host || !port || *port == 0) return std::nullopt;
  for (std::size_t i = 2; i < *parts; ++i) walk.skip();
  for (std::size_t i = 3; i < *elements; ++i) walk.skip();
  slot_range range;
  range.first = static_cast<std::uint16_t>(*first);
  range.last = static_cast<std::uint16_t>(*last);
  if (*host != "?") range.master.host = *host;
  range.master.port = static_cast<std::uint16_t>(*port);
  return range;
}

bool overlap(std::vector<slot_range> ranges) {
  std::sort(ranges.begin(), ranges.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  return std::adjacent_find(ranges.begin(), ranges.end(),
                            [](const auto& a, const auto& b) { return b.first <= a.last; }) != ranges.end();
}

}  // namespace

std::uint16_t hash_slot(std::string_view key) noexcept {
  if (const auto open = key.find('{'); open != std::string_view::npos) {
    const auto close = key.find('}', open + 1);
    if (close != std::string_view::npos && close > open + 1) key = key.substr(open + 1, close - open - 1);
  }
  boost::crc_optimal<16, 0x1021, 0, 0, false, false> crc;
  crc.process_bytes(key.data(), key.size());
  return static_cast<std::uint16_t>(crc.checksum() % slot_count);
}

std::optional<redirection> parse_redirection(std::string_view text) {
  redirection result;
  if (text.starts_with("MOVED ")) {
    text.remove_prefix(6);
  } else if (text.starts_with("ASK ")) {
    result.ask = true;
    text.remove_prefix(4);
  } else {
    return std::nullopt;
  }
  const auto space = text.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  const auto slot = whole_number<std::uint16_t>(text.substr(0, space), slot_count - 1);
  auto address = parse_address(text.substr(space + 1));
  if (!slot || !address) return std::nullopt;
  result.slot = *slot;
  result.to = std::move(*address);
  return result;
}

std::optional<std::vector<slot_range>> parse_cluster_slots(const scanned_reply& reply) {
  token_walk walk(reply);
  const auto count = walk.array();
  if (!count || *count > slot_count) return std::nullopt;
  std::vector<slot_range> ranges;
  for (std::size_t i = 0; i < *count; ++i) {
    auto range = read_range(walk);
    if (!range) return std::nullopt;
    ranges.push_back(std::move(*range));
  }
  if (overlap(ranges)) return std::nullopt;
  return ranges;
}

void slot_table::assign(std::uint16_t first, std::uint16_t last, std::uint16_t node) noexcept {
  std::fill(nodes_.begin() + first, nodes_.begin() + last + 1, node);
}

}  // namespace weir::limiter::redis
