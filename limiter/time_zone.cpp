// SPDX-License-Identifier: Apache-2.0
#include "limiter/time_zone.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>

namespace weir::limiter {
namespace {

constexpr std::int64_t day_s = 86'400;
constexpr std::int64_t largest_offset_s = 26 * 3600;  // RFC 8536
constexpr const char* zone_folder = "/usr/share/zoneinfo/";

/// Big-endian fields of a TZif file. Reading beyond the end gives zeros and `failed`.
class field_reader {
 public:
  explicit field_reader(std::string_view content) : rest_(content) {}

  std::int64_t integer(std::size_t bytes) noexcept {
    const std::string_view field = text(bytes);
    std::uint64_t value = 0;
    for (const char c : field) value = value << 8 | static_cast<unsigned char>(c);
    if (bytes < 8 && (value >> (8 * bytes - 1)) != 0) value |= ~std::uint64_t{0} << (8 * bytes);
    return static_cast<std::int64_t>(value);
  }
  std::uint8_t byte() noexcept { return static_cast<std::uint8_t>(integer(1)); }
  std::string_view text(std::size_t bytes) noexcept {
    if (rest_.size() < bytes) {
      failed = true;
      return {};
    }
    const std::string_view field = rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
    return field;
  }
  [[nodiscard]] std::string_view rest() const noexcept { return rest_; }

  bool failed = false;

 private:
  std::string_view rest_;
};

/// Numbers of records in one block of a TZif file.
struct tzif_header {
  char version = 0;
  std::size_t isut = 0, isstd = 0, leap = 0, time = 0, type = 0, chars = 0;
};

bool read_header(field_reader& in, tzif_header& h) noexcept {
  constexpr std::int64_t most_records = 100'000;
  if (in.text(4) != "TZif") return false;
  h.version = static_cast<char>(in.byte());
  in.text(15);
  for (std::size_t* count : {&h.isut, &h.isstd, &h.leap, &h.time, &h.type, &h.chars}) {
    const std::int64_t n = in.integer(4);
    if (n < 0 || n > most_records) return false;
    *count = static_cast<std::size_t>(n);
  }
  return !in.failed && h.type > 0;
}

std::size_t size_of_block(const tzif_header& h, std::size_t time_size) noexcept {
  return h.time * (time_size + 1) + h.type * 6 + h.chars + h.leap * (time_size + 4) + h.isstd + h.isut;
}

/// POSIX TZ text, character by character.
class rule_reader {
 public:
  explicit rule_reader(std::string_view text) : rest_(text) {}

  [[nodiscard]] bool at_end() const noexcept { return rest_.empty(); }
  bool skip(char c) noexcept {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool skip_name() noexcept {
    const bool quoted = skip('<');
    std::size_t length = 0;
    while (length < rest_.size() &&
           (quoted ? rest_[length] != '>' : (rest_[length] | 0x20) >= 'a' && (rest_[length] | 0x20) <= 'z')) {
      ++length;
    }
    rest_.remove_prefix(length);
    return length >= 3 && (!quoted || skip('>'));
  }
  std::optional<int> number(int most) noexcept {
    int value = 0;
    std::size_t length = 0;
    for (; length < rest_.size() && rest_[length] >= '0' && rest_[length] <= '9'; ++length) {
      value = value * 10 + (rest_[length] - '0');
      if (value > most) return std::nullopt;
    }
    rest_.remove_prefix(length);
    return length > 0 ? std::optional(value) : std::nullopt;
  }
  /// [+-]h[:mm[:ss]]
  std::optional<std::int64_t> time(int most_hours) noexcept {
    const bool negative = skip('-');
    if (!negative) skip('+');
    const auto hours = number(most_hours);
    if (!hours) return std::nullopt;
    std::int64_t value = *hours * std::int64_t{3600};
    for (const std::int64_t unit : {60, 1}) {
      if (!skip(':')) break;
      const auto part = number(59);
      if (!part) return std::nullopt;
      value += *part * unit;
    }
    return negative ? -value : value;
  }

 private:
  std::string_view rest_;
};

std::optional<yearly_change> read_change(rule_reader& in) noexcept {
  yearly_change change;
  std::optional<int> month = 1;
  std::optional<int> week = 1;
  std::optional<int> day;
  if (in.skip('M')) {
    month = in.number(12);
    week = in.skip('.') ? in.number(5) : std::nullopt;
    day = in.skip('.') ? in.number(6) : std::nullopt;
  } else if (in.skip('J')) {
    change.kind = yearly_change::form::julian;
    day = in.number(365);
  } else {
    change.kind = yearly_change::form::zero_based;
    day = in.number(365);
  }
  if (!month || !week || !day || *month < 1 || *week < 1) return std::nullopt;
  change.month = *month;
  change.week = *week;
  change.day = *day;
  if (in.skip('/')) {
    const auto time = in.time(167);
    if (!time) return std::nullopt;
    change.time_s = *time;
  }
  return change;
}

/// Local midnight of the day of a change plus its time, in seconds as if local time were UTC.
std::int64_t local_time_of(const yearly_change& change, int year) noexcept {
  using namespace std::chrono;
  const auto first_day = sys_days{std::chrono::year{year} / January / 1};
  sys_days day = first_day;
  switch (change.kind) {
    case yearly_change::form::month_week_day: {
      const auto month = std::chrono::year{year} / std::chrono::month{static_cast<unsigned>(change.month)};
      const weekday wanted{static_cast<unsigned>(change.day)};
      day = change.week == 5 ? sys_days{month / wanted[last]}
                             : sys_days{month / wanted[static_cast<unsigned>(change.week)]};
      break;
    }
    case yearly_change::form::julian:  // 1 ... 365, February 29 is never counted
      day += days{change.day - 1 + (std::chrono::year{year}.is_leap() && change.day >= 60 ? 1 : 0)};
      break;
    case yearly_change::form::zero_based:
      day += days{change.day};
      break;
  }
  return day.time_since_epoch().count() * day_s + change.time_s;
}

int year_of(std::int64_t at_s) noexcept {
  const std::chrono::sys_seconds t{std::chrono::seconds{at_s}};
  return static_cast<int>(std::chrono::year_month_day{std::chrono::floor<std::chrono::days>(t)}.year());
}

struct change {
  std::int64_t at_s = 0;
  std::int64_t offset_s = 0;
};

/// The changes of the years around an instant, in order.
std::array<change, 6> changes_around(const yearly_rule& rule, std::int64_t at_s) noexcept {
  std::array<change, 6> all;
  auto next = all.begin();
  const int first = year_of(at_s) - 1;
  for (int year = first; year < first + 3; ++year) {
    *next++ = {local_time_of(rule.begins, year) - rule.standard_s, rule.summer_s};
    *next++ = {local_time_of(rule.ends, year) - rule.summer_s, rule.standard_s};
  }
  std::stable_sort(all.begin(), all.end(), [](const change& a, const change& b) { return a.at_s < b.at_s; });
  return all;
}

std::optional<std::int64_t> parse_fixed_offset(std::string_view name) noexcept {
  const auto digit = [&name](std::size_t i) { return name[i] >= '0' && name[i] <= '9' ? name[i] - '0' : -1; };
  if (name.size() != 6 || (name[0] != '+' && name[0] != '-') || name[3] != ':') return std::nullopt;
  for (const std::size_t i : {1U, 2U, 4U, 5U}) {
    if (digit(i) < 0) return std::nullopt;
  }
  const int hours = digit(1) * 10 + digit(2);
  const int minutes = digit(4) * 10 + digit(5);
  if (hours > 14 || minutes > 59 || (hours == 14 && minutes > 0)) return std::nullopt;
  const std::int64_t offset = hours * std::int64_t{3600} + minutes * std::int64_t{60};
  return name[0] == '-' ? -offset : offset;
}

/// A relative name without dots stays inside the folder.
bool is_zone_name(std::string_view name) noexcept {
  constexpr std::string_view allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-/";
  return !name.empty() && name.size() <= 64 && name.front() != '/' && name.back() != '/' &&
         name.find_first_not_of(allowed) == std::string_view::npos;
}

std::optional<time_zone> load(std::string_view name) {
  if (name == "UTC") return time_zone(std::string(name), 0);
  if (const auto offset = parse_fixed_offset(name)) return time_zone(std::string(name), *offset);
  if (!is_zone_name(name)) return std::nullopt;
  constexpr std::size_t largest_file = 1 << 20;
  std::ifstream in(zone_folder + std::string(name), std::ios::binary);
  if (!in) return std::nullopt;
  std::string content(largest_file, '\0');
  in.read(content.data(), static_cast<std::streamsize>(content.size()));
  content.resize(static_cast<std::size_t>(in.gcount()));
  return time_zone::from_tzif(std::string(name), content);
}

}  // namespace

std::optional<yearly_rule> parse_yearly_rule(std::string_view text) noexcept {
  rule_reader in(text);
  yearly_rule rule;
  if (!in.skip_name()) return std::nullopt;
  const auto west = in.time(24);  // POSIX counts west of Greenwich
  if (!west) return std::nullopt;
  rule.standard_s = rule.summer_s = -*west;
  if (in.at_end()) return rule;
  if (!in.skip_name()) return std::nullopt;
  rule.summer_s = rule.standard_s + 3600;
  if (!in.skip(',')) {
    const auto summer_west = in.time(24);
    if (!summer_west || !in.skip(',')) return std::nullopt;
    rule.summer_s = -*summer_west;
  }
  const auto begins = read_change(in);
  if (!begins || !in.skip(',')) return std::nullopt;
  const auto ends = read_change(in);
  if (!ends || !in.at_end()) return std::nullopt;
  rule.begins = *begins;
  rule.ends = *ends;
  return rule;
}

time_zone::time_zone(std::string name, std::int64_t offset_s)
    : name_(std::move(name)), first_offset_s_(offset_s) {}

std::optional<time_zone> time_zone::from_tzif(std::string name, std::string_view content) {
  field_reader in(content);
  tzif_header header;
  if (!read_header(in, header)) return std::nullopt;
  std::size_t time_size = 4;
  if (header.version >= '2') {  // the first block is for readers of 32 bits only
    in.text(size_of_block(header, time_size));
    if (!read_header(in, header)) return std::nullopt;
    time_size = 8;
  }
  time_zone zone(std::move(name), 0);
  zone.transitions_.resize(header.time);
  for (transition& t : zone.transitions_) t.at_s = in.integer(time_size);
  std::vector<std::uint8_t> types(header.time);
  for (std::uint8_t& type : types) type = in.byte();
  std::vector<std::int64_t> offsets(header.type);
  for (std::int64_t& offset : offsets) {
    offset = in.integer(4);
    in.text(2);
    if (offset < -largest_offset_s || offset > largest_offset_s) return std::nullopt;
  }
  in.text(size_of_block(header, time_size) - header.time * (time_size + 1) - header.type * 6);
  if (in.failed) return std::nullopt;
  zone.first_offset_s_ = offsets[0];
  for (std::size_t i = 0; i < types.size(); ++i) {
    if (types[i] >= offsets.size()) return std::nullopt;
    if (i > 0 && zone.transitions_[i].at_s <= zone.transitions_[i - 1].at_s) return std::nullopt;
    zone.transitions_[i].offset_s = offsets[types[i]];
  }
  if (time_size == 4) return zone;
  std::string_view footer = in.rest();
  if (footer.size() < 2 || footer.front() != '\n' || footer.back() != '\n') return std::nullopt;
  footer = footer.substr(1, footer.size() - 2);
  if (footer.empty()) return zone;  // no rule: the last offset stays
  zone.rule_ = parse_yearly_rule(footer);
  if (!zone.rule_) return std::nullopt;
  return zone;
}

bool time_zone::ruled(std::int64_t at_s) const noexcept {
  return rule_ && (transitions_.empty() || at_s >= transitions_.back().at_s);
}

std::int64_t time_zone::offset_at(std::int64_t at_s) const noexcept {
  if (ruled(at_s)) {
    if (rule_->standard_s == rule_->summer_s) return rule_->standard_s;
    std::int64_t offset = rule_->standard_s;
    for (const change& c : changes_around(*rule_, at_s)) {
      if (c.at_s <= at_s) offset = c.offset_s;
    }
    return offset;
  }
  const auto after = std::upper_bound(transitions_.begin(), transitions_.end(), at_s,
                                      [](std::int64_t t, const transition& x) { return t < x.at_s; });
  return after == transitions_.begin() ? first_offset_s_ : std::prev(after)->offset_s;
}

std::optional<std::int64_t> time_zone::next_change(std::int64_t at_s) const noexcept {
  if (!ruled(at_s)) {
    const auto after = std::upper_bound(transitions_.begin(), transitions_.end(), at_s,
                                        [](std::int64_t t, const transition& x) { return t < x.at_s; });
    if (after == transitions_.end()) return std::nullopt;
    return after->at_s;
  }
  if (rule_->standard_s == rule_->summer_s) return std::nullopt;
  for (const change& c : changes_around(*rule_, at_s)) {
    if (c.at_s > at_s) return c.at_s;
  }
  return std::nullopt;
}

const time_zone* find_time_zone(std::string_view name) {
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<const time_zone>, std::less<>> zones;
  const std::lock_guard lock(mutex);
  if (const auto known = zones.find(name); known != zones.end()) return known->second.get();
  auto zone = load(name);
  if (!zone) return nullptr;
  return zones.emplace(std::string(name), std::make_unique<const time_zone>(std::move(*zone)))
      .first->second.get();
}

std::string time_zone_data_version() {
  constexpr std::string_view mark = "# version ";
  std::ifstream in(std::string(zone_folder) + "tzdata.zi");
  std::string line;
  if (!std::getline(in, line) || !line.starts_with(mark)) return {};
  return line.substr(mark.size(), 16);
}

}  // namespace weir::limiter
