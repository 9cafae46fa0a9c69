// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/errors.hpp"

#include <array>
#include <charconv>
#include <system_error>
#include <utility>

namespace weir::limiter::redis {

namespace {

constexpr std::array<std::pair<std::string_view, errc>, 18> codes{{
    {"NOSCRIPT", errc::noscript},
    {"READONLY", errc::readonly},
    {"MASTERDOWN", errc::readonly},  // a replica without its master
    {"LOADING", errc::loading},
    {"MOVED", errc::moved},
    {"ASK", errc::moved},
    {"TRYAGAIN", errc::moved},
    {"CROSSSLOT", errc::moved},
    {"CLUSTERDOWN", errc::moved},
    {"OOM", errc::oom},
    {"BUSY", errc::busy},
    {"NOAUTH", errc::auth},
    {"WRONGPASS", errc::auth},
    {"NOPERM", errc::auth},
    {"DENIED", errc::auth},  // protected mode: no password set and not asked from loopback
    {"MISCONF", errc::script},
    {"NOREPLICAS", errc::script},
    {"WINDOW", errc::window},  // of the decision script itself
}};

errc classify_code(std::string_view code) noexcept {
  for (const auto& [name, error] : codes) {
    if (code == name) return error;
  }
  return errc::script;
}

/// The error of a command that a script called, as Redis before 7.0 reports it; empty when there is none.
std::string_view inner_error(std::string_view text) noexcept {
  if (!text.starts_with("ERR Error running script")) return {};
  const auto dash = text.rfind(": -");
  return dash == std::string_view::npos ? std::string_view{} : text.substr(dash + 3);
}

}  // namespace

std::optional<std::int64_t> window_error_now(std::string_view text) noexcept {
  constexpr std::string_view code = "WINDOW ";
  if (!text.starts_with(code)) return std::nullopt;
  text.remove_prefix(code.size());
  std::int64_t now_us = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), now_us);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  if (now_us < 1 || now_us >= std::int64_t{1} << 53) return std::nullopt;
  return now_us;
}

std::string_view error_code(std::string_view text) noexcept {
  constexpr std::size_t longest = 32;
  return text.substr(0, text.find(' ')).substr(0, longest);
}

errc classify_error(std::string_view text) noexcept {
  const std::string_view inner = inner_error(text);
  const errc error = classify_code(error_code(inner.empty() ? text : inner));
  // an ACL that forbids a command inside the script has no code of its own
  if (error == errc::script && text.find("The user executing the script can't") != std::string_view::npos) {
    return errc::auth;
  }
  if (text.starts_with("ERR max number of clients")) return errc::refused;
  return error;
}

}  // namespace weir::limiter::redis
