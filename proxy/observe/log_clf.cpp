// SPDX-License-Identifier: Apache-2.0
// Combined Log Format (Apache's and nginx'), then what weir decided.
#include "proxy/observe/record_writer.hpp"

#include <chrono>

namespace weir::proxy {
namespace {

std::string_view value_of(const access_record& r, std::string_view name) noexcept {
  for (const logged_field& f : r.headers) {
    if (f.name == name) return f.value;
  }
  return {};
}

/// `10/Oct/2000:13:55:36 +0000`
void put_time(record_writer& w, std::int64_t us) {
  using namespace std::chrono;
  constexpr std::string_view months = "JanFebMarAprMayJunJulAugSepOctNovDec";
  const sys_seconds when = floor<seconds>(sys_time<microseconds>{microseconds{us}});
  const auto day = floor<days>(when);
  const year_month_day date{day};
  const hh_mm_ss time{when - day};
  w.two_digits(static_cast<unsigned>(date.day()));
  w.put("/");
  w.put(months.substr((static_cast<unsigned>(date.month()) - 1) * 3, 3));
  w.put("/");
  w.put(static_cast<int>(date.year()));
  for (const auto part : {time.hours().count(), time.minutes().count(), time.seconds().count()}) {
    w.put(":");
    w.two_digits(static_cast<unsigned>(part));
  }
  w.put(" +0000");
}

}  // namespace

std::string_view clf_line(const access_record& r) {
  constexpr std::size_t names_room = 128;
  record_writer w(r, names_room);
  w.plain(r.client_ip);
  w.put(" - ");
  w.plain(r.user_hash);
  w.put(" [");
  put_time(w, r.time_us - r.duration_us);
  w.put("] \"");
  w.plain(r.method);
  w.put(" ");
  w.plain(r.path);
  if (!r.query.empty()) {
    w.put("?");
    w.plain(r.query);
  }
  w.put(" ");
  w.plain(r.proto);
  w.put("\" ");
  w.put(r.status);
  w.put(" ");
  w.put(r.bytes_out);
  w.put(" \"");
  w.plain(value_of(r, "referer"));
  w.put("\" \"");
  w.plain(value_of(r, "user-agent"));
  w.put("\" \"");
  w.put(to_string(r.decision));
  w.put("\" \"");
  w.plain(r.rule);
  w.put("\" ");
  w.plain_milliseconds(r.duration_us);
  w.put(" \"");
  w.plain(r.request_id);
  w.put("\"\n");
  return w.line();
}

}  // namespace weir::proxy
