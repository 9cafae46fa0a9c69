// SPDX-License-Identifier: Apache-2.0
#include "proxy/http/traceparent.hpp"

#include <algorithm>

namespace weir::http {
namespace {

constexpr std::size_t size_of_00 = 55;  // 00-<32>-<16>-<2>

bool is_hex(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_id(std::string_view text) noexcept {
  return is_hex(text) && text.find_first_not_of('0') != std::string_view::npos;
}

}  // namespace

trace_context parse_traceparent(std::string_view value) noexcept {
  if (value.size() < size_of_00 || value[2] != '-' || value[35] != '-' || value[52] != '-') return {};
  const std::string_view version = value.substr(0, 2);
  const bool ends = value.size() == size_of_00 || (version != "00" && value[size_of_00] == '-');
  if (!ends || !is_hex(version) || version == "ff" || !is_hex(value.substr(53, 2))) return {};
  const trace_context context{value.substr(3, 32), value.substr(36, 16)};
  return is_id(context.trace_id) && is_id(context.span_id) ? context : trace_context{};
}

}  // namespace weir::http
