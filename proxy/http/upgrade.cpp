// SPDX-License-Identifier: Apache-2.0
#include "proxy/http/upgrade.hpp"

#include "proxy/http/grammar.hpp"

#include <algorithm>
#include <optional>

namespace weir::http {
namespace {

/// The value of the only field that `wanted` picks; none when there is none or a second one.
template <typename Head, typename Wanted>
std::optional<std::string_view> only_value(const Head& head, std::string_view buffer, Wanted wanted) {
  std::optional<std::string_view> value;
  for (std::size_t i = 0; i < head.field_count; ++i) {
    const field& f = head.fields[i];
    if (f.dropped || !wanted(f)) continue;
    if (value) return std::nullopt;
    value = head.value(f, buffer);
  }
  return value;
}

template <typename Head>
std::optional<std::string_view> only_named(const Head& head, std::string_view buffer,
                                           std::string_view lower_name) {
  return only_value(head, buffer,
                    [&](const field& f) { return grammar::equals_lower(head.name(f, buffer), lower_name); });
}

template <typename Head>
std::string_view upgrade_value(const Head& head, std::string_view buffer) {
  const auto value = only_value(head, buffer, [](const field& f) { return f.id == header_id::upgrade; });
  return value.value_or(std::string_view{});
}

template <typename Head>
bool nominates(const Head& head, std::string_view buffer, std::string_view lower_name) noexcept {
  for (std::size_t i = 0; head.nominates && i < head.field_count; ++i) {
    if (head.fields[i].id != header_id::connection) continue;
    std::string_view list = head.value(head.fields[i], buffer);
    std::string_view element;
    while (grammar::next_element(list, element)) {
      if (grammar::equals_lower(element, lower_name)) return true;
    }
  }
  return false;
}

/// 16 bytes in base64, spelled the one way there is: the last letter carries two bits only.
bool is_websocket_key(std::string_view key) noexcept {
  constexpr std::size_t letters = 22;
  constexpr std::string_view last_letters = "AQgw";
  const auto is_base64 = [](char c) {
    return grammar::is_digit(c) || (grammar::lower(c) >= 'a' && grammar::lower(c) <= 'z') || c == '+' ||
           c == '/';
  };
  return key.size() == letters + 2 && key.ends_with("==") &&
         std::all_of(key.begin(), key.begin() + letters, is_base64) &&
         last_letters.find(key[letters - 1]) != std::string_view::npos;
}

/// As the upstream would get it: a nominated field is not passed on.
bool is_websocket_handshake(const request_head& head, std::string_view buffer) noexcept {
  constexpr std::string_view key_name = "sec-websocket-key", version_name = "sec-websocket-version";
  if (nominates(head, buffer, key_name) || nominates(head, buffer, version_name)) return false;
  const auto key = only_named(head, buffer, key_name);
  return key && is_websocket_key(*key) && only_named(head, buffer, version_name) == "13";
}

}  // namespace

std::string_view requested_upgrade(const request_head& head, std::string_view buffer,
                                   std::span<const std::string> allowed) noexcept {
  const bool has_body = head.framing == framing::chunked || head.content_length > 0;
  const bool switchable =
      head.version_minor == 1 && head.method_id == method_id::get && head.keep_alive && !has_body;
  if (!switchable || !nominates(head, buffer, "upgrade")) return {};
  const std::string_view wanted = upgrade_value(head, buffer);
  const auto protocol = std::find_if(allowed.begin(), allowed.end(), [wanted](const std::string& token) {
    return grammar::equals_ignoring_case(wanted, token);
  });
  if (protocol == allowed.end()) return {};
  if (*protocol == "websocket" && !is_websocket_handshake(head, buffer)) return {};
  return *protocol;
}

bool grants_upgrade(const response_head& head, std::string_view buffer, std::string_view protocol) noexcept {
  return head.status == 101 && head.version_minor == 1 && head.keep_alive &&
         nominates(head, buffer, "upgrade") &&
         grammar::equals_ignoring_case(upgrade_value(head, buffer), protocol);
}

}  // namespace weir::http
