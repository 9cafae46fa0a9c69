// SPDX-License-Identifier: Apache-2.0
// What a series of active checks says: so many bad ones in a row and an endpoint is out, so many good ones
// and it is back. Pure.
#pragma once

#include <optional>

namespace weir::proxy {

class check_verdict {
 public:
  /// Both >= 1. Healthy at first: an endpoint serves until its checks have failed.
  check_verdict(int unhealthy_after, int healthy_after) noexcept
      : unhealthy_after_(unhealthy_after), healthy_after_(healthy_after) {}

  /// One check ended. The new verdict, when this one changed it.
  [[nodiscard]] std::optional<bool> add(bool good) noexcept {
    against_ = good == healthy_ ? 0 : against_ + 1;
    if (against_ < (healthy_ ? unhealthy_after_ : healthy_after_)) return std::nullopt;
    healthy_ = good;
    against_ = 0;
    return healthy_;
  }
  [[nodiscard]] bool healthy() const noexcept { return healthy_; }

 private:
  int unhealthy_after_, healthy_after_;
  int against_ = 0;  // checks in a row that contradict the verdict
  bool healthy_ = true;
};

}  // namespace weir::proxy
