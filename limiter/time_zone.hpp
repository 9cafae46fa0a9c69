// SPDX-License-Identifier: Apache-2.0
// Offsets from UTC: the zone files of the machine (TZif with its rule for the future), fixed offsets and UTC.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::limiter {

/// A day of the year at which a rule changes the clock, as POSIX TZ writes it.
struct yearly_change {
  enum class form : std::uint8_t { month_week_day, julian, zero_based };  ///< M3.5.0, J60, 59
  form kind = form::month_week_day;
  int month = 1;               ///< 1 ... 12 (month_week_day)
  int week = 1;                ///< 1 ... 5, 5 = the last
  int day = 0;                 ///< 0 = Sunday (month_week_day), else the day of the year
  std::int64_t time_s = 7200;  ///< local, -167 h ... 167 h
};

/// What repeats each year after the last transition that is listed.
struct yearly_rule {
  std::int64_t standard_s = 0;  ///< east of UTC
  std::int64_t summer_s = 0;    ///< equals standard_s when there is no summer time
  yearly_change begins;
  yearly_change ends;
};

/// Immutable. Instants are seconds since the epoch.
class time_zone {
 public:
  /// A zone that is always `offset_s` east of UTC.
  time_zone(std::string name, std::int64_t offset_s);
  /// The content of a TZif file; nullopt when it is none.
  [[nodiscard]] static std::optional<time_zone> from_tzif(std::string name, std::string_view content);

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// Seconds east of UTC.
  [[nodiscard]] std::int64_t offset_at(std::int64_t at_s) const noexcept;
  /// The first instant after `at_s` at which the offset may change; nullopt when it never does again.
  [[nodiscard]] std::optional<std::int64_t> next_change(std::int64_t at_s) const noexcept;

 private:
  struct transition {
    std::int64_t at_s = 0;
    std::int64_t offset_s = 0;  ///< from then on
  };
  [[nodiscard]] bool ruled(std::int64_t at_s) const noexcept;  // by rule_, not by the list

  std::string name_;
  std::int64_t first_offset_s_ = 0;  ///< before all transitions
  std::vector<transition> transitions_;
  std::optional<yearly_rule> rule_;
};

/// `UTC`, `+02:00`, `-05:30` (up to 14 h), or a name of /usr/share/zoneinfo such as `Europe/Berlin`. Null
/// when there is none. One object per name, which lives as long as the process. Reads files: for loading
/// time. Thread-safe.
[[nodiscard]] const time_zone* find_time_zone(std::string_view name);

/// The release of the machine's zone files, such as "2024a"; empty when it is not written down.
[[nodiscard]] std::string time_zone_data_version();

/// The rule of POSIX TZ, such as "CET-1CEST,M3.5.0,M10.5.0/3"; nullopt when it is malformed.
[[nodiscard]] std::optional<yearly_rule> parse_yearly_rule(std::string_view text) noexcept;

}  // namespace weir::limiter
