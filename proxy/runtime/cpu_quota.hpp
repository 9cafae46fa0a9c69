// SPDX-License-Identifier: Apache-2.0
// How many workers `workers: auto` means: the cores this process may run on, bounded by its cgroup's CPU
// quota.
#pragma once

#include <optional>
#include <string_view>

namespace weir::proxy {

/// Text of a cgroup v2 `cpu.max` ("200000 100000", "max 100000") -> CPUs, rounded up; nothing without a
/// quota.
[[nodiscard]] std::optional<int> parse_cpu_max(std::string_view text) noexcept;

/// At least 1, at most 256.
[[nodiscard]] int automatic_workers();

}  // namespace weir::proxy
