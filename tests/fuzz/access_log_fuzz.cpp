// SPDX-License-Identifier: Apache-2.0
// Readers of access logs: any line in any format is read or refused, in its own bytes and within them; what
// is read has the parts that a replay needs; reading it again says the same. The first line of the input may
// be a format string.
#include "proxy/replay/log_format.hpp"

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>

namespace {

using weir::replay::line_kind;
using weir::replay::log_format;
using weir::replay::logged_request;

void require(bool condition) {
  if (!condition) std::abort();
}

void check_views(const logged_request& r, std::string_view line) {
  const auto within = [line](std::string_view part) {
    const std::less_equal<const char*> before;
    return part.empty() ||
           (before(line.data(), part.data()) && before(part.data() + part.size(), line.data() + line.size()));
  };
  for (const std::string_view part : {r.client, r.peer, r.forwarded_for, r.method, r.query, r.host, r.route,
                                      r.user, r.rule, r.reason, r.exempt}) {
    require(within(part));
  }
  require(r.target == "/" || within(r.target));
  for (const auto& header : r.headers) require(within(header.value));
}

void read(const log_format& format, std::string_view text) {
  std::string line(text);
  logged_request r;
  weir::replay::line_problem problem;
  const line_kind kind = format.read(line, r, problem);
  require((kind == line_kind::bad) == (problem.what != nullptr) || kind == line_kind::no_request);
  if (kind != line_kind::request) return;
  require(r.time_us >= 0 && r.resolution_us > 0 && !r.method.empty() && !r.target.empty());
  require(r.arrival_us() <= r.end_us() + r.resolution_us);
  check_views(r, line);
  std::string again(text);
  logged_request same;
  require(format.read(again, same, problem) == kind && same.time_us == r.time_us && same.target == r.target);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  for (const std::string_view name : log_format::names()) read(log_format::named(name).value(), input);
  const auto end = input.find('\n');
  if (end == std::string_view::npos) return 0;
  std::string problem;
  const auto own = log_format::of_string(input.substr(0, end), problem);
  require(own.has_value() == problem.empty());
  if (own) read(*own, input.substr(end + 1));
  (void)log_format::detect(input);
  return 0;
}
