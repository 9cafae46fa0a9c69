// SPDX-License-Identifier: Apache-2.0
#include "proxy/replay/time_chart.hpp"

#include <algorithm>
#include <span>
#include <string_view>

namespace weir::replay {
namespace {

constexpr std::array<std::string_view, 9> blocks{" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
constexpr std::array<std::string_view, 10> characters{" ", ".", ":", "-", "=", "+", "*", "#", "%", "@"};

}  // namespace

void time_chart::add(std::size_t row, std::int64_t time_us) {
  if (used_ == 0) start_us_ = time_us;
  while (time_us - start_us_ >= column_us_ * static_cast<std::int64_t>(chart_columns)) stretch();
  const auto column = static_cast<std::size_t>(std::max<std::int64_t>(0, time_us - start_us_) / column_us_);
  ++rows_[row][column];
  used_ = std::max(used_, column + 1);
}

void time_chart::stretch() {
  for (auto& row : rows_) {
    for (std::size_t i = 0; i < chart_columns / 2; ++i) row[i] = row[2 * i] + row[2 * i + 1];
    std::fill(row.begin() + chart_columns / 2, row.end(), 0);
  }
  used_ = (used_ + 1) / 2;
  column_us_ *= 2;
}

std::string bars(const time_chart& chart, std::size_t row, bool unicode) {
  const std::span<const std::string_view> levels =
      unicode ? std::span<const std::string_view>(blocks) : std::span<const std::string_view>(characters);
  std::uint64_t most = 1;
  for (std::size_t i = 0; i < chart.columns(); ++i) most = std::max(most, chart.at(row, i));
  std::string text;
  for (std::size_t i = 0; i < chart.columns(); ++i) {
    const std::uint64_t steps = levels.size() - 1;
    text += levels[static_cast<std::size_t>((chart.at(row, i) * steps + most - 1) / most)];
  }
  return text;
}

}  // namespace weir::replay
