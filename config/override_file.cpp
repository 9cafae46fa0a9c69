// SPDX-License-Identifier: Apache-2.0
#include "config/override_file.hpp"

#include "config/file_lines.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <utility>

namespace weir::config {
namespace {

constexpr std::size_t columns_max = 16;
constexpr std::size_t complaints_max = 10;

class override_reader {
 public:
  override_reader(const place& at, reporter& report) : at_(at), report_(report) {}

  std::vector<override_draft> read(std::string_view content) {
    const bool whole = for_each_line(content, override_lines_max, [this](const file_line& line) {
      number_ = line.number;
      return read_line(line.text) && complaints_ < complaints_max;
    });
    if (!whole) {
      number_ = override_lines_max + 1;
      complain(fmt::format("the file has more than {} lines", override_lines_max));
    }
    if (!from_ && complaints_ == 0) complain("the first line must name the columns");
    return std::move(items_);
  }

 private:
  static constexpr std::array<std::string_view, 4> names{"limit", "burst", "until", "reason"};
  enum column : std::size_t { limit, burst, until, reason, value };

  void complain(std::string message, std::string hint = {}) {
    ++complaints_;
    report_.error("E0502", at_, fmt::format("line {}: {}", number_, message), {std::move(hint), ""});
  }

  /// False: nothing behind it means anything.
  bool read_line(std::string_view line) {
    const auto cells = split_csv(line);
    if (!cells || cells->size() > columns_max) {
      complain("this is no line of CSV");
      return true;
    }
    if (!from_) return read_columns(*cells);
    if (cells->size() != columns_.size()) {
      complain(fmt::format("{} columns, but the first line names {}", cells->size(), columns_.size()));
    } else {
      read_item(*cells);
    }
    return true;
  }

  bool read_columns(const std::vector<std::string>& cells) {
    for (const auto& cell : cells) {
      const auto known = std::find(names.begin(), names.end(), cell);
      if (known != names.end()) {
        columns_.push_back(static_cast<column>(known - names.begin()));
        continue;
      }
      auto selector = limiter::parse_selector(cell);
      if (!selector || from_) {
        complain(fmt::format("{} is no column", in_ticks(cell)),
                 "columns: one selector, limit, burst, until, reason");
        return false;
      }
      from_ = std::move(selector);
      columns_.push_back(value);
    }
    for (const column needed : {value, limit, reason}) {
      if (std::count(columns_.begin(), columns_.end(), needed) == 1) continue;
      complain("the first line must name one selector, `limit` and `reason`, each once",
               "such as `user,limit,burst,until,reason`");
      return false;
    }
    return true;
  }

  void read_item(const std::vector<std::string>& cells) {
    std::array<std::string_view, 5> by_column{};
    for (std::size_t i = 0; i < cells.size(); ++i) by_column[columns_[i]] = cells[i];
    override_draft item;
    item.at = item.quota.limit_at = at_;
    item.line = fmt::format("line {}: ", number_);
    item.from = from_;
    item.value = by_column[value];
    item.reason = by_column[reason];
    if (item.value.empty()) return complain("there is no value");
    if (item.reason.empty() || item.reason.size() > override_reason_max)
      return complain(fmt::format("a reason has 1 to {} bytes", override_reason_max));
    item.quota.unlimited = by_column[limit] == "unlimited";
    if (!item.quota.unlimited && !take(item.quota.limit, parse_rate(by_column[limit]))) return;
    if (!by_column[burst].empty()) {
      item.quota.burst_at = at_;
      if (!take(item.quota.burst, parse_integer(by_column[burst]))) return;
    }
    if (!by_column[until].empty()) {
      std::optional<std::int64_t> end;
      if (!take(end, parse_instant(by_column[until]))) return;
      item.until_us = *end;
    }
    items_.push_back(std::move(item));
  }

  template <class T>
  bool take(std::optional<T>& out, parsed<T> result) {
    out = std::move(result.value);
    if (!out) complain(std::move(result.message), std::move(result.hint));
    return out.has_value();
  }

  place at_;
  reporter& report_;
  std::size_t number_ = 0, complaints_ = 0;
  std::optional<limiter::selector> from_;
  std::vector<column> columns_;
  std::vector<override_draft> items_;
};

}  // namespace

std::optional<std::vector<std::string>> split_csv(std::string_view line) {
  std::vector<std::string> cells;
  for (;;) {
    line.remove_prefix(std::min(line.find_first_not_of(" \t\r"), line.size()));
    std::string cell;
    if (line.starts_with('"')) {
      std::size_t i = 1;
      for (; i < line.size(); ++i) {
        if (line[i] == '"' && !line.substr(i + 1).starts_with('"')) break;
        if (line[i] == '"') ++i;
        cell.push_back(line[i]);
      }
      if (i >= line.size()) return std::nullopt;
      line.remove_prefix(i + 1);
      line.remove_prefix(std::min(line.find_first_not_of(" \t\r"), line.size()));
      if (!line.empty() && line.front() != ',') return std::nullopt;
    } else {
      const auto end = line.find(',');
      const auto text = trimmed(line.substr(0, end));
      if (text.find('"') != std::string_view::npos) return std::nullopt;
      cell = text;
      line.remove_prefix(std::min(end, line.size()));
    }
    cells.push_back(std::move(cell));
    if (line.empty()) return cells;
    line.remove_prefix(1);
  }
}

std::vector<override_draft> parse_override_file(std::string_view content, const place& at, reporter& report) {
  return override_reader{at, report}.read(content);
}

}  // namespace weir::config
