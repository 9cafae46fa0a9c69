// SPDX-License-Identifier: Apache-2.0
// The two clocks of the proxy. Deadlines and durations use the steady one; only log lines and Date use the
// other.
#pragma once

#include <chrono>
#include <cstdint>

namespace weir::proxy {

/// Monotonic microseconds since an arbitrary start.
[[nodiscard]] inline std::int64_t steady_now_us() noexcept {
  using namespace std::chrono;
  return duration_cast<microseconds>(steady_clock::now().time_since_epoch()).count();
}

/// Microseconds since the Unix epoch.
[[nodiscard]] inline std::int64_t wall_now_us() noexcept {
  using namespace std::chrono;
  return duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
}

[[nodiscard]] inline std::int64_t to_us(std::chrono::milliseconds d) noexcept {
  return std::chrono::duration_cast<std::chrono::microseconds>(d).count();
}

}  // namespace weir::proxy
