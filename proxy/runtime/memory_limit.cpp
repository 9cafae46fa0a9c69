// SPDX-License-Identifier: Apache-2.0
#include "proxy/runtime/memory_limit.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <sys/resource.h>

namespace weir::proxy {

namespace {

std::string read_text(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::optional<std::uint64_t> cgroup_limit() {
  if (const std::string text = read_text("/sys/fs/cgroup/memory.max"); !text.empty()) {
    return parse_memory_max(text);
  }
  return parse_memory_max(read_text("/sys/fs/cgroup/memory/memory.limit_in_bytes"));
}

std::optional<std::uint64_t> address_space_limit() {
  rlimit space{};
  if (::getrlimit(RLIMIT_AS, &space) != 0 || space.rlim_cur == RLIM_INFINITY) return std::nullopt;
  return space.rlim_cur;
}

}  // namespace

std::optional<std::uint64_t> parse_memory_max(std::string_view text) noexcept {
  constexpr std::uint64_t none = std::uint64_t{1} << 60;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || value == 0 || value >= none) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> memory_limit() {
  const std::optional<std::uint64_t> group = cgroup_limit();
  const std::optional<std::uint64_t> space = address_space_limit();
  if (group && space) return std::min(*group, *space);
  return group ? group : space;
}

std::size_t buffer_budget(std::optional<std::uint64_t> memory, std::size_t workers) noexcept {
  if (!memory) return std::numeric_limits<std::size_t>::max();
  return *memory / 2 / workers;
}

}  // namespace weir::proxy
