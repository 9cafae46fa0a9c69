// SPDX-License-Identifier: Apache-2.0
#include "proxy/replay/text_format.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace weir::replay {
namespace {

struct known_variable {
  std::string_view name;
  log_field field;
};

constexpr std::array<known_variable, 33> known_variables{{
    {"remote_addr", log_field::peer},
    {"realip_remote_addr", log_field::ignored},
    {"client_ip", log_field::client},
    {"proxy_protocol_addr", log_field::client},
    {"time_local", log_field::time},
    {"time_iso8601", log_field::time},
    {"msec", log_field::time},
    {"time", log_field::time},
    {"start_time", log_field::start_time},
    {"request", log_field::request},
    {"request_method", log_field::method},
    {"method", log_field::method},
    {"request_uri", log_field::target},
    {"uri", log_field::target},
    {"path", log_field::target},
    {"args", log_field::query},
    {"query_string", log_field::query},
    {"query", log_field::query},
    {"host", log_field::host},
    {"http_host", log_field::host},
    {"server_name", log_field::host},
    {"status", log_field::status},
    {"body_bytes_sent", log_field::bytes_out},
    {"bytes_out", log_field::bytes_out},
    {"content_length", log_field::bytes_in},
    {"bytes_in", log_field::bytes_in},
    {"request_time", log_field::seconds},
    {"duration_ms", log_field::milliseconds},
    {"user_hash", log_field::user},
    {"route", log_field::route},
    {"decision", log_field::decision},
    {"rule", log_field::rule},
    {"reason", log_field::reason},
}};

bool is_name(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/// `at` is behind the dollar sign; `$name` or `${name}`.
std::string_view take_name(std::string_view& rest) noexcept {
  const bool braces = rest.starts_with('{');
  if (braces) rest.remove_prefix(1);
  std::size_t size = 0;
  while (size < rest.size() && is_name(rest[size])) ++size;
  const std::string_view name = rest.substr(0, size);
  rest.remove_prefix(size);
  if (braces && rest.starts_with('}')) rest.remove_prefix(1);
  return name;
}

/// Where `literal` begins in `text`; behind an opening quote escaped characters are jumped over.
std::size_t find_end(std::string_view text, std::string_view literal) noexcept {
  if (literal == ":") {  // an IPv6 address has colons too: the last one of the word
    return text.substr(0, text.find(' ')).rfind(':');
  }
  if (literal.front() != '"') return text.find(literal);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '"' && text.substr(i).starts_with(literal)) {
      return i;
    }
  }
  return std::string_view::npos;
}

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

std::string_view unescape(char* text, std::size_t size) noexcept {
  char* const end = text + size;
  char* to = static_cast<char*>(std::memchr(text, '\\', size));
  if (to == nullptr) return {text, size};
  for (const char* from = to; from < end;) {
    if (*from != '\\' || end - from < 2) {
      *to++ = *from++;
    } else if (from[1] == 'x' && end - from >= 4 && hex_digit(from[2]) >= 0 && hex_digit(from[3]) >= 0) {
      *to++ = static_cast<char>(hex_digit(from[2]) * 16 + hex_digit(from[3]));
      from += 4;
    } else {
      *to++ = from[1];
      from += 2;
    }
  }
  return {text, static_cast<std::size_t>(to - text)};
}

}  // namespace

log_field field_of_variable(std::string_view name, std::string& header) {
  for (const known_variable& known : known_variables) {
    if (known.name == name) return known.field;
  }
  if (!name.starts_with("http_")) return log_field::ignored;
  header = name.substr(5);
  std::replace(header.begin(), header.end(), '_', '-');
  return log_field::header;
}

std::optional<text_format> text_format::compile(std::string_view format, std::string& problem) {
  text_format result;
  for (std::string_view rest = format; !rest.empty();) {
    const auto dollar = rest.find('$');
    const std::string_view literal = rest.substr(0, dollar);
    (result.variables_.empty() ? result.front_ : result.variables_.back().behind) += literal;
    if (dollar == std::string_view::npos) break;
    rest.remove_prefix(dollar + 1);
    if (!result.variables_.empty() && result.variables_.back().behind.empty()) {
      problem = "nothing separates $" + result.variables_.back().name + " from what follows";
      return std::nullopt;
    }
    variable next;
    next.name = take_name(rest);
    next.field = field_of_variable(next.name, next.header);
    result.variables_.push_back(std::move(next));
  }
  if (!result.has(log_field::time) && !result.has(log_field::start_time)) {
    problem = "no time in it, such as $time_local, $time_iso8601 or $msec";
  } else if (!result.has(log_field::request) &&
             !(result.has(log_field::method) && result.has(log_field::target))) {
    problem = "no request in it: $request, or $request_method and $request_uri";
  } else if (!result.has(log_field::peer) && !result.has(log_field::client)) {
    problem = "no client in it: $remote_addr or $client_ip";
  } else {
    return result;
  }
  return std::nullopt;
}

line_problem text_format::read(std::span<char> line, logged_request& out) const {
  if (!std::string_view(line.data(), line.size()).starts_with(front_))
    return {"another form than the format"};
  char* at = line.data() + front_.size();
  char* const end = line.data() + line.size();
  for (const variable& v : variables_) {
    const std::string_view rest(at, static_cast<std::size_t>(end - at));
    const std::size_t size = v.behind.empty() ? rest.size() : find_end(rest, v.behind);
    if (size == std::string_view::npos) return {"another form than the format", v.name};
    const std::string_view text = v.field == log_field::ignored ? std::string_view{} : unescape(at, size);
    if (!store_field(v.field, v.header, text, out)) return {"of another form than expected", v.name};
    at += size + v.behind.size();
  }
  return {};
}

bool text_format::has(log_field field) const noexcept {
  return std::any_of(variables_.begin(), variables_.end(),
                     [field](const variable& v) { return v.field == field; });
}

std::vector<std::string> text_format::headers() const {
  std::vector<std::string> names;
  for (const variable& v : variables_) {
    if (v.field == log_field::header) names.push_back(v.header);
  }
  return names;
}

}  // namespace weir::replay
