// SPDX-License-Identifier: Apache-2.0
// How much memory this process may use, as its surroundings say.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace weir::proxy {

/// Text of a cgroup v2 `memory.max` or v1 `memory.limit_in_bytes`; nothing for "max" and for the huge number
/// by which v1 says the same.
[[nodiscard]] std::optional<std::uint64_t> parse_memory_max(std::string_view text) noexcept;

/// Bytes: the least of the cgroup's limit and RLIMIT_AS; nothing without either.
[[nodiscard]] std::optional<std::uint64_t> memory_limit();

/// What the buffers of one worker's connections may take together: half of the process' memory, evenly; the
/// rest is for everything that does not grow with load. Without a limit: no bound.
[[nodiscard]] std::size_t buffer_budget(std::optional<std::uint64_t> memory, std::size_t workers) noexcept;

}  // namespace weir::proxy
