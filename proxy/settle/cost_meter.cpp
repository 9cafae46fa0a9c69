// SPDX-License-Identifier: Apache-2.0
#include "proxy/settle/cost_meter.hpp"

#include <algorithm>

namespace weir::proxy::settle {

namespace {

using source = limiter::response_cost::source;

/// The only line of that name; nothing when there is none, or several.
std::optional<std::string_view> only_value(const http::response_head& head, std::string_view buffer,
                                           std::string_view lower_case_name) {
  std::optional<std::string_view> found;
  for (std::size_t i = 0; i < head.field_count; ++i) {
    const std::string_view name = head.name(head.fields[i], buffer);
    const bool same = std::equal(
        name.begin(), name.end(), lower_case_name.begin(), lower_case_name.end(),
        [](char a, char b) { return (a >= 'A' && a <= 'Z' ? static_cast<char>(a | 0x20) : a) == b; });
    if (!same) continue;
    if (found) return std::nullopt;
    found = head.value(head.fields[i], buffer);
  }
  return found;
}

}  // namespace

std::optional<std::int64_t> header_cost(std::string_view value) noexcept {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!value.empty() && blank(value.front())) value.remove_prefix(1);
  while (!value.empty() && blank(value.back())) value.remove_suffix(1);
  if (value.empty() || value.size() > 64) return std::nullopt;
  constexpr std::int64_t most = std::int64_t{1} << 62;
  std::int64_t number = 0;
  for (const char c : value) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number > most / 10 - 1 ? most : number * 10 + (c - '0');
  }
  return number;
}

void cost_meter::forget() noexcept {
  entries_.clear();
  reads_body_ = false;
}

void cost_meter::begin(std::span<const limiter::charge> charges, const http::response_head& head,
                       std::string_view buffer) {
  reset();
  for (const limiter::charge& c : charges) {
    if (!c.matched->response_cost) continue;
    const limiter::response_cost& wanted = *c.matched->response_cost;
    entry& e = entries_.emplace_back(entry{c.matched, std::nullopt, nullptr});
    if (wanted.actual == source::header) {
      if (const auto value = only_value(head, buffer, wanted.name)) e.found = header_cost(*value);
    } else if (wanted.actual == source::json_pointer) {
      e.reader = std::make_unique<body_cost_reader>(
          wanted.name, only_value(head, buffer, "content-type").value_or(std::string_view{}),
          only_value(head, buffer, "content-encoding").value_or(std::string_view{}));
      reads_body_ = true;
    }
  }
}

void cost_meter::body(std::string_view bytes) {
  for (entry& e : entries_) {
    if (e.reader) e.reader->feed(bytes);
  }
}

void cost_meter::end(bool complete, std::uint64_t request_bytes, std::uint64_t response_bytes) {
  constexpr std::uint64_t most = std::uint64_t{1} << 62;
  for (entry& e : entries_) {
    switch (e.matched->response_cost->actual) {
      case source::header:
        break;
      case source::json_pointer:
        e.found = e.reader->finish(complete);
        break;
      case source::request_bytes:
        e.found = static_cast<std::int64_t>(std::min(request_bytes, most));
        break;
      case source::response_bytes:
        e.found = static_cast<std::int64_t>(std::min(response_bytes, most));
        break;
      case source::both_bytes:
        e.found =
            static_cast<std::int64_t>(std::min(request_bytes, most / 2) + std::min(response_bytes, most / 2));
        break;
    }
  }
}

std::optional<std::int64_t> cost_meter::actual(const limiter::rule& matched) const {
  const auto found =
      std::find_if(entries_.begin(), entries_.end(), [&](const entry& e) { return e.matched == &matched; });
  return found == entries_.end() ? std::nullopt : found->found;
}

}  // namespace weir::proxy::settle
