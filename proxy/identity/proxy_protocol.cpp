// SPDX-License-Identifier: Apache-2.0
#include "proxy/identity/proxy_protocol.hpp"

#include <algorithm>
#include <array>
#include <boost/crc.hpp>

namespace weir::identity {
namespace {

using namespace std::string_view_literals;
using status = proxy_header_status;

constexpr proxy_header refused{status::refused, 0, std::nullopt};
constexpr proxy_header need_more{status::need_more, 0, std::nullopt};

constexpr std::string_view v1_signature = "PROXY "sv;
constexpr std::size_t v1_size_max = 107;  // with its CRLF
constexpr std::string_view v2_signature = "\r\n\r\n\0\r\nQUIT\n"sv;
constexpr std::size_t v2_fixed_size = 16;

std::uint8_t byte_at(std::string_view bytes, std::size_t at) noexcept {
  return static_cast<std::uint8_t>(bytes[at]);
}

std::size_t number_at(std::string_view bytes, std::size_t at) noexcept {  // 16 bits, network order
  return std::size_t{byte_at(bytes, at)} << 8 | byte_at(bytes, at + 1);
}

/// One of them is a prefix of the other.
bool agree(std::string_view a, std::string_view b) noexcept {
  const std::size_t common = std::min(a.size(), b.size());
  return a.substr(0, common) == b.substr(0, common);
}

// ---- version 1

/// The text up to the next space, which is removed with it; the last word takes what is left.
std::string_view take_word(std::string_view& line) noexcept {
  const std::size_t space = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, space);
  line.remove_prefix(std::min(space + 1, line.size()));
  return word;
}

bool is_port(std::string_view text) noexcept {
  const bool digits = !text.empty() && text.size() <= 5 &&
                      std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!digits || (text.size() > 1 && text.front() == '0')) return false;
  int value = 0;
  for (const char c : text) value = value * 10 + (c - '0');
  return value <= 65535;
}

std::optional<address> parse_v1_address(std::string_view text, bool v6) noexcept {
  const bool colons = text.find(':') != std::string_view::npos;
  if (colons != v6 || text.find('%') != std::string_view::npos) return std::nullopt;
  return parse_address(text);
}

/// `line` without its end and its signature.
proxy_header parse_v1_line(std::string_view line, std::size_t size) noexcept {
  if (line == "UNKNOWN" || line.starts_with("UNKNOWN ")) return {status::complete, size, std::nullopt};
  if (line.ends_with(' ')) return refused;
  const std::string_view family = take_word(line);
  if (family != "TCP4" && family != "TCP6") return refused;
  const bool v6 = family == "TCP6";
  const auto source = parse_v1_address(take_word(line), v6);
  const auto destination = parse_v1_address(take_word(line), v6);
  const bool source_port = is_port(take_word(line));
  if (!source || !destination || !source_port || !is_port(line)) return refused;
  return {status::complete, size, source};
}

proxy_header parse_v1(std::string_view bytes) noexcept {
  const std::string_view head = bytes.substr(0, v1_size_max);
  const std::size_t end = head.find_first_of("\r\n\0"sv);
  if (end == std::string_view::npos) return head.size() == v1_size_max ? refused : need_more;
  if (head[end] != '\r' || end + 1 == v1_size_max) return refused;
  if (end + 1 == head.size()) return need_more;
  if (head[end + 1] != '\n' || end < v1_signature.size()) return refused;
  return parse_v1_line(head.substr(v1_signature.size(), end - v1_signature.size()), end + 2);
}

// ---- version 2

using crc32c = boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true>;

/// The checksum covers the whole header, its own place counted as zeros.
bool checksum_is_right(std::string_view header, std::size_t at) noexcept {
  constexpr std::array<char, 4> zeros{};
  crc32c sum;
  sum.process_bytes(header.data(), at);
  sum.process_bytes(zeros.data(), zeros.size());
  sum.process_bytes(header.data() + at + 4, header.size() - at - 4);
  std::uint32_t written = 0;
  for (std::size_t i = 0; i < 4; ++i) written = written << 8 | byte_at(header, at + i);
  return sum.checksum() == written;
}

/// Extensions: type, length in two bytes, value.
bool extensions_are_right(std::string_view header, std::size_t at) noexcept {
  constexpr std::uint8_t checksum_type = 0x03;
  bool checked = false;
  while (at < header.size()) {
    if (header.size() - at < 3) return false;
    const std::size_t size = number_at(header, at + 1);
    if (size > header.size() - at - 3) return false;
    if (byte_at(header, at) == checksum_type) {
      if (checked || size != 4 || !checksum_is_right(header, at + 3)) return false;
      checked = true;
    }
    at += 3 + size;
  }
  return true;
}

address source_v4(std::string_view header) noexcept {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | byte_at(header, v2_fixed_size + i);
  return from_v4(value);
}

address source_v6(std::string_view header) noexcept {
  address result;
  for (std::size_t i = 0; i < result.bytes.size(); ++i) result.bytes[i] = byte_at(header, v2_fixed_size + i);
  return result;
}

constexpr std::uint8_t family_unspecified = 0x00, family_tcp4 = 0x11, family_tcp6 = 0x21;

std::size_t addresses_size(std::uint8_t family) noexcept {
  return family == family_tcp4 ? 12 : family == family_tcp6 ? 36 : 0;
}

proxy_header parse_v2(std::string_view bytes) noexcept {
  if (bytes.size() <= v2_signature.size()) return need_more;
  const std::uint8_t command = byte_at(bytes, 12);
  const bool local = command == 0x20;
  if (!local && command != 0x21) return refused;
  if (bytes.size() < v2_fixed_size) return need_more;
  const std::uint8_t family = byte_at(bytes, 13);
  const bool known = family == family_unspecified || family == family_tcp4 || family == family_tcp6;
  const std::size_t size = v2_fixed_size + number_at(bytes, 14);
  if (!known || size > proxy_header_size_max || size < v2_fixed_size + addresses_size(family)) return refused;
  if (bytes.size() < size) return need_more;
  const std::string_view header = bytes.substr(0, size);
  if (!extensions_are_right(header, v2_fixed_size + addresses_size(family))) return refused;
  if (local || family == family_unspecified) return {status::complete, size, std::nullopt};
  return {status::complete, size, family == family_tcp4 ? source_v4(header) : source_v6(header)};
}

}  // namespace

proxy_header parse_proxy_header(std::string_view bytes, bool v1, bool v2) noexcept {
  if (bytes.empty()) return need_more;
  if (v1 && agree(bytes, v1_signature)) return parse_v1(bytes);
  if (v2 && agree(bytes, v2_signature)) return parse_v2(bytes);
  return refused;
}

}  // namespace weir::identity
