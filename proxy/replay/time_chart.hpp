// SPDX-License-Identifier: Apache-2.0
// What happened when: counts by time, in as few columns as a terminal shows, however long the log is.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace weir::replay {

inline constexpr std::size_t chart_columns = 64;

/// Rows of counts over one axis of time, which begins at the first count and is stretched, by doubling the
/// width of a column, whenever a count lies beyond its end. Times go forward.
class time_chart {
 public:
  explicit time_chart(std::size_t rows) : rows_(rows) {}

  void add(std::size_t row, std::int64_t time_us);

  [[nodiscard]] std::int64_t start_us() const noexcept { return start_us_; }
  [[nodiscard]] std::int64_t column_us() const noexcept { return column_us_; }
  [[nodiscard]] std::size_t columns() const noexcept { return used_; }  ///< that hold counts, 0 ... 64
  [[nodiscard]] std::uint64_t at(std::size_t row, std::size_t column) const noexcept {
    return rows_[row][column];
  }

 private:
  void stretch();

  std::vector<std::array<std::uint64_t, chart_columns>> rows_;
  std::int64_t start_us_ = 0;
  std::int64_t column_us_ = 1'000'000;
  std::size_t used_ = 0;
};

/// One row as bars, the highest count being the highest bar; only no count at all is no bar.
/// `unicode`: block elements; else the characters ` .:-=+*#%@`.
[[nodiscard]] std::string bars(const time_chart& chart, std::size_t row, bool unicode);

}  // namespace weir::replay
