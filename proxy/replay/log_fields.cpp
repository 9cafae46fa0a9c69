// SPDX-License-Identifier: Apache-2.0
#include "proxy/replay/log_fields.hpp"

#include <array>
#include <charconv>
#include <chrono>

namespace weir::replay {
namespace {

constexpr std::int64_t second = 1'000'000;
constexpr std::int64_t latest_s = 253'402'300'800;  // the year 10000

constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

/// Reads from the front; every step fails for good once one has failed.
class time_text {
 public:
  explicit time_text(std::string_view text) noexcept : rest_(text) {}

  [[nodiscard]] bool failed() const noexcept { return failed_; }
  [[nodiscard]] bool at_end() const noexcept { return !failed_ && rest_.empty(); }
  [[nodiscard]] char next() const noexcept { return rest_.empty() ? '\0' : rest_.front(); }

  void expect(char c) noexcept {
    if (next() != c) failed_ = true;
    skip();
  }
  void skip() noexcept {
    if (!rest_.empty()) rest_.remove_prefix(1);
  }

  /// Exactly `digits` digits.
  int number(int digits, int least, int most) noexcept {
    int value = 0;
    for (int i = 0; i < digits; ++i) {
      const char c = next();
      if (c < '0' || c > '9') failed_ = true;
      value = value * 10 + (c - '0');
      skip();
    }
    if (value < least || value > most) failed_ = true;
    return failed_ ? least : value;
  }

  int month() noexcept {
    const std::string_view name = rest_.substr(0, 3);
    rest_.remove_prefix(name.size());
    for (std::size_t i = 0; i < months.size(); ++i) {
      if (months[i] == name) return static_cast<int>(i) + 1;
    }
    failed_ = true;
    return 1;
  }

  /// Microseconds of the digits behind a point, and what they are a multiple of. More digits than six are
  /// cut.
  log_time fraction() noexcept {
    log_time found{0, second};
    if (next() != '.' && next() != ',') return found;
    skip();
    if (next() < '0' || next() > '9') failed_ = true;
    for (; next() >= '0' && next() <= '9'; skip()) {
      if (found.resolution_us == 1) continue;
      found.resolution_us /= 10;
      found.us += (next() - '0') * found.resolution_us;
    }
    return found;
  }

  /// Seconds east of Greenwich.
  int offset() noexcept {
    if (next() == 'Z' || next() == 'z') return skip(), 0;
    const int sign = next() == '-' ? -1 : 1;
    if (next() != '+' && next() != '-') failed_ = true;
    skip();
    const int hours = number(2, 0, 23);
    if (next() == ':') skip();
    return sign * (hours * 3600 + number(2, 0, 59) * 60);
  }

 private:
  std::string_view rest_;
  bool failed_ = false;
};

std::optional<std::int64_t> seconds_of(int year, int month, int day, int hour, int minute, int s) noexcept {
  using namespace std::chrono;
  const year_month_day date{std::chrono::year{year}, std::chrono::month{static_cast<unsigned>(month)},
                            std::chrono::day{static_cast<unsigned>(day)}};
  if (!date.ok()) return std::nullopt;
  return sys_days{date}.time_since_epoch().count() * 86400ll + hour * 3600 + minute * 60 + s;
}

std::optional<log_time> rfc3339(time_text t) noexcept {
  const int year = t.number(4, 1970, 9999);
  t.expect('-');
  const int month = t.number(2, 1, 12);
  t.expect('-');
  const int day = t.number(2, 1, 31);
  if (t.next() != 'T' && t.next() != 't' && t.next() != ' ') return std::nullopt;
  t.skip();
  const int hour = t.number(2, 0, 23);
  t.expect(':');
  const int minute = t.number(2, 0, 59);
  t.expect(':');
  const int s = t.number(2, 0, 60);
  const log_time fraction = t.fraction();
  const int offset = t.offset();
  if (!t.at_end()) return std::nullopt;
  const auto seconds = seconds_of(year, month, day, hour, minute, s);
  if (!seconds) return std::nullopt;
  return log_time{(*seconds - offset) * second + fraction.us, fraction.resolution_us};
}

/// `28/Nov/2026:10:00:00 +0100`
std::optional<log_time> common_log(time_text t) noexcept {
  const int day = t.number(2, 1, 31);
  t.expect('/');
  const int month = t.month();
  t.expect('/');
  const int year = t.number(4, 1970, 9999);
  t.expect(':');
  const int hour = t.number(2, 0, 23);
  t.expect(':');
  const int minute = t.number(2, 0, 59);
  t.expect(':');
  const int s = t.number(2, 0, 60);
  t.expect(' ');
  const int offset = t.offset();
  if (!t.at_end()) return std::nullopt;
  const auto seconds = seconds_of(year, month, day, hour, minute, s);
  if (!seconds) return std::nullopt;
  return log_time{(*seconds - offset) * second, second};
}

/// `SECONDS[.FRACTION]` in microseconds; at most `most` seconds.
std::optional<log_time> decimal_seconds(std::string_view text, std::int64_t most) noexcept {
  std::int64_t whole = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), whole);
  if (error != std::errc() || whole < 0 || whole > most) return std::nullopt;
  time_text rest(text.substr(static_cast<std::size_t>(end - text.data())));
  const log_time fraction = rest.fraction();
  if (!rest.at_end()) return std::nullopt;
  return log_time{whole * second + fraction.us, fraction.resolution_us};
}

template <class Integer>
bool store_number(std::string_view text, Integer& out) noexcept {
  Integer value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return false;
  out = value;
  return true;
}

bool store_time(std::string_view text, bool start, logged_request& out) noexcept {
  const auto time = parse_log_time(text);
  if (!time) return false;
  out.time_us = time->us;
  out.resolution_us = time->resolution_us;
  out.time_is_start = start;
  return true;
}

constexpr std::int64_t longest_s = 366 * 86400ll;  // that a request may take

/// In seconds, or in units of which 1000 make a second.
bool store_duration(std::string_view text, std::int64_t per_second, logged_request& out) noexcept {
  const auto found = decimal_seconds(text, longest_s * per_second);
  if (found) out.duration_us = found->us / per_second;
  return found.has_value();
}

bool store_nanoseconds(std::string_view text, logged_request& out) noexcept {
  std::int64_t ns = 0;
  if (!store_number(text, ns) || ns / 1'000'000'000 > longest_s) return false;
  out.duration_us = ns / 1000;
  return true;
}

/// `GET /x HTTP/1.1`; without a version, too.
bool store_request(std::string_view text, logged_request& out) noexcept {
  const auto space = text.find(' ');
  if (space == std::string_view::npos || space == 0) return false;
  out.method = text.substr(0, space);
  out.target = text.substr(space + 1);
  out.target = out.target.substr(0, out.target.rfind(" HTTP/"));
  return !out.target.empty();
}

logged_decision decision_of(std::string_view text) noexcept {
  if (text == "allow" || text == "shadow_deny") return logged_decision::allow;
  if (text == "deny") return logged_decision::deny;
  if (text == "exempt") return logged_decision::exempt;
  if (text == "blocked") return logged_decision::blocked;
  if (text == "rejected") return logged_decision::rejected;
  return logged_decision::unknown;
}

bool store_header(std::string_view name, std::string_view text, logged_request& out) {
  if (name == "x-forwarded-for") out.forwarded_for = text;
  if (name == "host" && out.host.empty()) out.host = text;
  if (out.headers.size() < out.headers.capacity()) out.headers.push_back({name, text});
  return true;
}

/// `http://HOST/PATH`: what is written to proxies, and by some logs.
void split_url(logged_request& r) noexcept {
  const auto scheme = r.target.find("://");
  if (r.target.starts_with('/') || scheme == std::string_view::npos) return;
  const std::string_view rest = r.target.substr(scheme + 3);
  const auto path = rest.find_first_of("/?");
  if (r.host.empty()) r.host = rest.substr(0, path);
  r.target = path == std::string_view::npos ? std::string_view("/") : rest.substr(path);
}

}  // namespace

std::optional<log_time> parse_log_time(std::string_view text) noexcept {
  if (text.size() > 4 && text[4] == '-') return rfc3339(time_text(text));
  if (text.size() > 2 && text[2] == '/') return common_log(time_text(text));
  return decimal_seconds(text, latest_s);
}

bool store_field(log_field field, std::string_view name, std::string_view text, logged_request& out) {
  if (text.empty() || text == "-") return true;
  switch (field) {
    case log_field::ignored:
      return true;
    case log_field::time:
      return store_time(text, false, out);
    case log_field::start_time:
      return store_time(text, true, out);
    case log_field::client:
      return out.client = text, true;
    case log_field::peer:
      return out.peer = text, true;
    case log_field::forwarded_for:
      return store_header("x-forwarded-for", text, out);
    case log_field::request:
      return store_request(text, out);
    case log_field::method:
      return out.method = text, true;
    case log_field::target:
      return out.target = text, true;
    case log_field::query:
      return out.query = text, true;
    case log_field::host:
      return out.host = text, true;
    case log_field::route:
      return out.route = text, true;
    case log_field::user:
      return out.user = text, true;
    case log_field::rule:
      return out.rule = text, true;
    case log_field::reason:
      return out.reason = text, true;
    case log_field::exempt:
      return out.exempt = text, true;
    case log_field::decision:
      return out.decision = decision_of(text), true;
    case log_field::response_flags:
      if (text == "RL") out.decision = logged_decision::deny;
      return true;
    case log_field::status:
      return store_number(text, out.status);
    case log_field::bytes_in:
      return store_number(text, out.bytes_in);
    case log_field::bytes_out:
      return store_number(text, out.bytes_out);
    case log_field::seconds:
      return store_duration(text, 1, out);
    case log_field::milliseconds:
      return store_duration(text, 1000, out);
    case log_field::nanoseconds:
      return store_nanoseconds(text, out);
    case log_field::header:
      return store_header(name, text, out);
    case log_field::header_object:
      break;
  }
  return false;
}

const char* finish_request(logged_request& r) {
  if (r.time_us < 0) return "no time";
  if (r.method.empty() || r.target.empty()) return "no request line";
  if (r.client.empty() && r.peer.empty() && r.forwarded_for.empty()) return "no client address";
  split_url(r);
  return nullptr;
}

}  // namespace weir::replay
