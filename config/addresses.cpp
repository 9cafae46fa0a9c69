// SPDX-License-Identifier: Apache-2.0
#include "config/addresses.hpp"

#include "proxy/identity/address.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <optional>

namespace weir::config {
namespace {

constexpr std::size_t longest_unix_path = 107;  // sun_path without its NUL

template <class T>
parsed<T> refused(std::string message, std::string hint = {}) {
  return {std::nullopt, std::move(message), std::move(hint)};
}

bool is_label_character(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
         c == '.';
}

struct host_port {
  std::string host;  // without brackets
  std::uint16_t port = 0;
};

std::optional<std::uint16_t> parse_port(std::string_view text) {
  const auto number = parse_integer(text);
  if (!number.value || *number.value < 1 || *number.value > 65535) return std::nullopt;
  return static_cast<std::uint16_t>(*number.value);
}

/// `default_port` 0: the port must be written.
parsed<host_port> parse_host_port(std::string_view text, std::uint16_t default_port) {
  host_port result;
  std::string_view rest;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return refused<host_port>("`[` without `]` in the address");
    result.host = text.substr(1, close - 1);
    rest = text.substr(close + 1);
    const auto address = identity::parse_address(result.host);
    if (!address || result.host.find(':') == std::string::npos)
      return refused<host_port>("no IPv6 address between the brackets");
  } else {
    const auto colon = std::min(text.find(':'), text.size());
    result.host = text.substr(0, colon);
    rest = text.substr(colon);
    if (rest.find(':', 1) != std::string_view::npos)
      return refused<host_port>("an IPv6 address needs brackets", "such as `[::1]:8080`");
    if (!is_host(result.host))
      return refused<host_port>("no host in front of the port", "such as `127.0.0.1:8080`");
  }
  if (rest.empty() && default_port != 0) {
    result.port = default_port;
    return {std::move(result), {}, {}};
  }
  const auto port = rest.starts_with(':') ? parse_port(rest.substr(1)) : std::nullopt;
  if (!port)
    return refused<host_port>("the port must be a number from 1 to 65535", "such as `127.0.0.1:8080`");
  result.port = *port;
  return {std::move(result), {}, {}};
}

parsed<std::string> parse_unix_path(std::string_view text) {
  text.remove_prefix(std::string_view{"unix:"}.size());
  if (text.empty()) return refused<std::string>("`unix:` without a path", "such as `unix:/run/weir.sock`");
  if (text.find('\0') != std::string_view::npos) return refused<std::string>("a path without NUL");
  if (text.size() > longest_unix_path)
    return refused<std::string>(
        fmt::format("the path of a unix socket has at most {} bytes", longest_unix_path));
  return {std::string{text}, {}, {}};
}

std::optional<std::string> percent_decoded(std::string_view text) {
  const auto digit = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
  };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size() || digit(text[i + 1]) < 0 || digit(text[i + 2]) < 0) return std::nullopt;
    out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
    i += 2;
  }
  return out;
}

/// `[USER]:PASSWORD` in front of the host.
bool take_credentials(std::string_view text, store_url& out) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) return false;
  const auto user = percent_decoded(text.substr(0, colon));
  const auto password = percent_decoded(text.substr(colon + 1));
  if (!user || !password || password->empty()) return false;
  out.username = *user;
  out.password = *password;
  return true;
}

parsed<store_url> parse_redis_url(std::string_view rest) {
  store_url result;
  result.kind = proxy::store_kind::redis;
  const auto at = rest.rfind('@');
  if (at != std::string_view::npos) {
    if (!take_credentials(rest.substr(0, at), result)) {
      return refused<store_url>("malformed user and password in the store url",
                                "`redis://USER:PASSWORD@HOST`, special characters as %XX");
    }
    rest.remove_prefix(at + 1);
  }
  const auto slash = std::min(rest.find('/'), rest.size());
  auto place = parse_host_port(rest.substr(0, slash), 6379);
  if (!place.value) return refused<store_url>(std::move(place.message), std::move(place.hint));
  result.host = std::move(place.value->host);
  result.port = place.value->port;
  if (const auto database = rest.substr(std::min(slash + 1, rest.size())); !database.empty()) {
    const auto number = parse_integer(database);
    if (!number.value || *number.value > 65535)
      return refused<store_url>("the database of a store url is a number", "such as `redis://HOST/0`");
    result.database = static_cast<int>(*number.value);
  }
  return {std::move(result), {}, {}};
}

}  // namespace

bool is_host(std::string_view text) {
  if (identity::parse_address(text)) return true;
  return !text.empty() && text.size() <= 253 && text.front() != '.' && text.front() != '-' &&
         text.find("..") == std::string_view::npos &&
         std::all_of(text.begin(), text.end(), is_label_character);
}

parsed<proxy::socket_address> parse_bind_address(std::string_view text) {
  proxy::socket_address result;
  if (text.starts_with("unix:")) {
    auto path = parse_unix_path(text);
    if (!path.value) return refused<proxy::socket_address>(std::move(path.message), std::move(path.hint));
    result.unix_path = std::move(*path.value);
    return {std::move(result), {}, {}};
  }
  if (text.starts_with(':') && parse_port(text.substr(1))) {
    return refused<proxy::socket_address>("an address to listen on needs its host",
                                          fmt::format("write `0.0.0.0{}`", text));
  }
  auto place = parse_host_port(text, 0);
  if (!place.value) return refused<proxy::socket_address>(std::move(place.message), std::move(place.hint));
  if (!identity::parse_address(place.value->host)) {
    return refused<proxy::socket_address>(
        "listen on an address, not on a name",
        place.value->host == "localhost" ? fmt::format("write `127.0.0.1:{}`", place.value->port) : "");
  }
  result.host = std::move(place.value->host);
  result.port = place.value->port;
  return {std::move(result), {}, {}};
}

bool is_loopback(const proxy::socket_address& address) {
  if (!address.unix_path.empty()) return true;
  const auto value = identity::parse_address(address.host);
  if (!value) return false;
  identity::address one{};
  one.bytes.back() = 1;
  return *value == one || (value->is_v4() && value->bytes[12] == 127);
}

parsed<proxy::endpoint_settings> parse_endpoint_url(std::string_view text) {
  proxy::endpoint_settings result;
  if (text.starts_with("unix:")) {
    auto path = parse_unix_path(text);
    if (!path.value) return refused<proxy::endpoint_settings>(std::move(path.message), std::move(path.hint));
    result.address.unix_path = std::move(*path.value);
    result.authority = "localhost";
    return {std::move(result), {}, {}};
  }
  constexpr std::string_view plain = "http://";
  constexpr std::string_view over_tls = "https://";
  result.tls = text.starts_with(over_tls);
  if (!result.tls && !text.starts_with(plain))
    return refused<proxy::endpoint_settings>("malformed upstream url",
                                             "`http[s]://HOST:PORT` or `unix:PATH`");
  text.remove_prefix(result.tls ? over_tls.size() : plain.size());
  if (text.find('@') != std::string_view::npos)
    return refused<proxy::endpoint_settings>("an upstream url has no user");
  if (const auto slash = text.find_first_of("/?#"); slash != std::string_view::npos) {
    if (text.substr(slash) != "/")
      return refused<proxy::endpoint_settings>(
          "an upstream url ends behind the port: the path of the request is forwarded as it is");
    text.remove_suffix(1);
  }
  auto place = parse_host_port(text, result.tls ? 443 : 80);
  if (!place.value)
    return refused<proxy::endpoint_settings>(std::move(place.message),
                                             "`http[s]://HOST:PORT` or `unix:PATH`");
  result.authority = text;
  result.address.host = std::move(place.value->host);
  result.address.port = place.value->port;
  return {std::move(result), {}, {}};
}

parsed<limiter::redis_address> parse_redis_node(std::string_view text, std::uint16_t default_port) {
  auto place = parse_host_port(text, default_port);
  if (!place.value)
    return refused<limiter::redis_address>(std::move(place.message), "such as `10.0.0.1:6379`");
  limiter::redis_address address;
  address.host = std::move(place.value->host);
  address.port = place.value->port;
  return {std::move(address), {}, {}};
}

parsed<store_url> parse_store_url(std::string_view text) {
  constexpr std::string_view redis = "redis://";
  constexpr std::string_view over_tls = "rediss://";
  if (text == "memory://") return {store_url{}, {}, {}};
  if (text.starts_with(over_tls)) {
    auto url = parse_redis_url(text.substr(over_tls.size()));
    if (url.value) url.value->tls = true;
    return url;
  }
  if (text.starts_with(redis)) return parse_redis_url(text.substr(redis.size()));
  if (!text.starts_with("unix:")) {
    return refused<store_url>("malformed store url",
                              "`memory://`, `redis[s]://[[USER]:PASSWORD@]HOST[:PORT][/DB]` or `unix:PATH`");
  }
  auto path = parse_unix_path(text);
  if (!path.value) return refused<store_url>(std::move(path.message), std::move(path.hint));
  store_url result;
  result.kind = proxy::store_kind::redis;
  result.unix_path = std::move(*path.value);
  return {std::move(result), {}, {}};
}

}  // namespace weir::config
