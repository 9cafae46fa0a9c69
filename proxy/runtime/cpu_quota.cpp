// SPDX-License-Identifier: Apache-2.0
#include "proxy/runtime/cpu_quota.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <sched.h>
#include <string>

namespace weir::proxy {

namespace {

std::string read_text(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::optional<std::int64_t> parse_number(std::string_view text) noexcept {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  return value;
}

std::optional<int> round_up(std::int64_t quota, std::int64_t period) noexcept {
  if (quota <= 0 || period <= 0) return std::nullopt;
  return static_cast<int>(std::min<std::int64_t>((quota + period - 1) / period, 256));
}

/// cgroup v2, else v1.
std::optional<int> read_quota() {
  if (const std::string text = read_text("/sys/fs/cgroup/cpu.max"); !text.empty()) return parse_cpu_max(text);
  const auto quota = parse_number(read_text("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"));
  const auto period = parse_number(read_text("/sys/fs/cgroup/cpu/cpu.cfs_period_us"));
  if (!quota || !period) return std::nullopt;
  return round_up(*quota, *period);
}

}  // namespace

std::optional<int> parse_cpu_max(std::string_view text) noexcept {
  const std::size_t space = text.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  const auto quota = parse_number(text.substr(0, space));
  const auto period = parse_number(text.substr(space + 1));
  if (!quota || !period) return std::nullopt;
  return round_up(*quota, *period);
}

int automatic_workers() {
  cpu_set_t set;
  CPU_ZERO(&set);
  const int cores = ::sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  return std::clamp(std::min(cores, read_quota().value_or(cores)), 1, 256);
}

}  // namespace weir::proxy
