// SPDX-License-Identifier: Apache-2.0
// What came of a reload.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace weir::proxy {

enum class reload_result : std::uint8_t { ok, rejected, unchanged };

struct reload_report {
  reload_result result = reload_result::unchanged;
  std::string hash_before, hash_after;  ///< equal unless the result is `ok`
  std::string problems;                 ///< rendered; empty unless the result is `rejected`
};

using reload_answer = std::function<void(const reload_report&)>;

/// "ok", "rejected" or "unchanged"
[[nodiscard]] constexpr const char* to_string(reload_result result) noexcept {
  switch (result) {
    case reload_result::ok:
      return "ok";
    case reload_result::rejected:
      return "rejected";
    case reload_result::unchanged:
      break;
  }
  return "unchanged";
}

}  // namespace weir::proxy
