// SPDX-License-Identifier: Apache-2.0
// Numbers and times of a report as people read them.
#pragma once

#include <cstdint>
#include <string>

namespace weir::replay {

[[nodiscard]] std::string grouped(std::uint64_t number);                        ///< 1,234,567
[[nodiscard]] std::string percentage(std::uint64_t part, std::uint64_t whole);  ///< "1.23 %"
[[nodiscard]] std::string date_and_time(std::int64_t time_us);                  ///< 2026-11-28 10:00:03, UTC
[[nodiscard]] std::string time_span(std::int64_t us);                           ///< 1h 2m 3s; 250ms

}  // namespace weir::replay
