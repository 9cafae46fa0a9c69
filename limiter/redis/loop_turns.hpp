// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

namespace weir::limiter::redis {

/// The turns of a loop that a store shares with others: what is decided during one leaves together at its
/// end. Replies are such a turn of their own: `before` and `after` run around what they bring. Empty
/// functions: a store alone on its loop.
struct loop_turns {
  std::function<void()> before, after;
};

}  // namespace weir::limiter::redis
