// SPDX-License-Identifier: Apache-2.0
// What those who ask stores share: the answer of one that answers at once, and how answers compare.
#pragma once

#include "limiter/store.hpp"

namespace weir::limiter {

/// The answer of a store that answers inside execute().
struct immediate_answer final : store_waiter {
  void on_store_reply(errc error, const store_reply& answer) override {
    failure = error;
    reply = answer;
  }
  errc failure = errc::closed;
  store_reply reply;
};

/// -1 = never, longer than any wait.
[[nodiscard]] inline bool longer_wait(std::int64_t a, std::int64_t b) noexcept {
  return b != -1 && (a == -1 || a > b);
}

}  // namespace weir::limiter
