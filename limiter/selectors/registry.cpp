// SPDX-License-Identifier: Apache-2.0
#include "limiter/descriptor.hpp"
#include "limiter/selectors/selector.hpp"
#include "limiter/selectors/selector_kind.hpp"

#include <array>
#include <cassert>

namespace weir::limiter {
namespace selectors {

bool is_token(std::string_view text) noexcept {
  for (const char c : text) {
    const bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!alphanumeric &&
        (c == '\0' || std::string_view("!#$%&'*+-.^_`|~").find(c) == std::string_view::npos)) {
      return false;
    }
  }
  return !text.empty();
}

std::optional<std::string_view> trimmed(std::string_view text) noexcept {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text.empty() ? std::nullopt : std::optional(text);
}

}  // namespace selectors

namespace {

using selectors::selector_kind;

// The index of a row is selector::kind. A new selector is its own file and one line here.
constexpr std::array<const selector_kind*, 13> kinds{
    &selectors::client_ip, &selectors::method, &selectors::host,  &selectors::route,
    &selectors::upstream,  &selectors::user,   &selectors::tier,  &selectors::header,
    &selectors::cookie,    &selectors::query,  &selectors::claim, &selectors::path_param,
    &selectors::constant,
};

const selector_kind& kind_of(const selector& s) noexcept {
  assert(s.kind < kinds.size());
  return *kinds[s.kind];
}

std::string joined_names() {
  std::string names;
  for (const selector_kind* kind : kinds) {
    if (!names.empty()) names += ' ';
    names += kind->name;
    if (kind->argument != nullptr) names += kind == &selectors::constant ? ":TEXT" : ":X";
  }
  return names;
}

}  // namespace

std::optional<selector> parse_selector(std::string_view text) {
  const auto colon = text.find(':');
  const std::string_view name = text.substr(0, colon);
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    if (kinds[i]->name != name) continue;
    const bool has_argument = colon != std::string_view::npos;
    if (has_argument != (kinds[i]->argument != nullptr)) return std::nullopt;
    selector parsed{static_cast<std::uint8_t>(i), std::string(text), {}, {}};
    append_counted(parsed.counted_text, text);
    if (!has_argument) return parsed;
    auto argument = kinds[i]->argument(text.substr(colon + 1));
    if (!argument) return std::nullopt;
    parsed.argument = std::move(*argument);
    return parsed;
  }
  return std::nullopt;
}

std::string_view selector_names() noexcept {
  static const std::string names = joined_names();
  return names;
}

bool can_be_absent(const selector& s) noexcept {
  return kind_of(s).can_be_absent;
}

bool is_user(const selector& s) noexcept {
  return &kind_of(s) == &selectors::user;
}

bool is_client_chosen(const selector& s) noexcept {
  return kind_of(s).client_chosen;
}

std::optional<std::string_view> select(const selector& s, const request_attributes& request,
                                       std::string& decoded) {
  return kind_of(s).select(s.argument, request, decoded);
}

bool is_repeated(const selector& s, const request_attributes& request) {
  const auto repeated = kind_of(s).repeated;
  return repeated != nullptr && repeated(s.argument, request);
}

}  // namespace weir::limiter
