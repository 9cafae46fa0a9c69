// SPDX-License-Identifier: Apache-2.0
#include "proxy/cli/described.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

namespace weir::cli {
namespace {

namespace json = boost::json;
using text_pairs = std::vector<std::pair<std::string, std::string>>;

bool read(const json::value& v, std::string& out) {
  if (!v.is_string()) return false;
  out = std::string(v.as_string());
  return true;
}

bool read(const json::value& v, std::optional<std::string>& out) {
  return read(v, out.emplace()) && !out->empty();
}

bool read(const json::value& v, text_pairs& out) {
  if (!v.is_object()) return false;
  for (const auto& [name, value] : v.as_object()) {
    if (!read(value, out.emplace_back(std::string(name), std::string{}).second)) return false;
  }
  return true;
}

bool read(const json::value& v, std::optional<std::int64_t>& out) {
  if (!v.is_int64() || v.as_int64() <= 0) return false;
  out = v.as_int64();
  return true;
}

bool read_response(const json::value& v, request_text& out) {
  if (!v.is_object()) return false;
  for (const auto& [name, value] : v.as_object()) {
    if (name == "status") {
      if (!value.is_int64() || value.as_int64() < 200 || value.as_int64() > 599) return false;
      out.status = static_cast<int>(value.as_int64());
    } else if (name == "headers") {
      if (!read(value, out.response_headers)) return false;
    } else if (name != "body" || !read(value, out.body)) {
      return false;
    }
  }
  return true;
}

bool read_member(std::string_view name, const json::value& value, request_text& out) {
  if (name == "method") return read(value, out.method);
  if (name == "headers") return read(value, out.headers);
  if (name == "ip") return read(value, out.ip);
  if (name == "user") return read(value, out.given.user);
  if (name == "tier") return read(value, out.given.tier);
  if (name == "claims") return read(value, out.given.claims);
  if (name == "at_us") return read(value, out.at_us);
  if (name == "response") return read_response(value, out);
  std::string url;
  if (name != "url" || !read(value, url)) return false;
  out.set_url(url);
  return true;
}

bool is_host(std::string_view name) {
  return name.size() == 4 && (name[0] | 0x20) == 'h' && (name[1] | 0x20) == 'o' && (name[2] | 0x20) == 's' &&
         (name[3] | 0x20) == 't';
}

void name_host_once(request_text& out) {
  for (const auto& line : out.headers) {
    if (is_host(line.first)) out.host.clear();
  }
}

}  // namespace

void request_text::set_url(std::string_view url) {
  const auto scheme = url.find("://");
  if (scheme == std::string_view::npos || url.starts_with('/')) {
    target = url;
    return;
  }
  url.remove_prefix(scheme + 3);
  const auto slash = url.find_first_of("/?");
  host = url.substr(0, slash);
  target = slash == std::string_view::npos ? "/" : std::string(url.substr(slash));
  if (target.starts_with('?')) target.insert(0, "/");
}

complaint read_request_line(std::string_view line, request_text& out) {
  boost::system::error_code failed;
  const json::value v = json::parse(line, failed);
  if (failed || !v.is_object()) return "expected a JSON object";
  for (const auto& [name, value] : v.as_object()) {
    if (!read_member(name, value, out)) {
      return fmt::format("`{}` is unknown or has a value of another type", std::string_view(name));
    }
  }
  name_host_once(out);
  return std::nullopt;
}

complaint add_header(const std::string& text, request_text& out) {
  const auto colon = text.find(':');
  if (colon == std::string::npos || colon == 0) return fmt::format("-H: `{}` is not `NAME: value`", text);
  const auto value = text.find_first_not_of(" \t", colon + 1);
  out.headers.emplace_back(text.substr(0, colon), value == std::string::npos ? "" : text.substr(value));
  name_host_once(out);
  return std::nullopt;
}

complaint add_claim(const std::string& text, request_text& out) {
  const auto equals = text.find('=');
  if (equals == std::string::npos || equals == 0)
    return fmt::format("--claim: `{}` is not `NAME=value`", text);
  out.given.claims.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  return std::nullopt;
}

}  // namespace weir::cli
