// SPDX-License-Identifier: Apache-2.0
// What the traces are replayed against: a store whose clock the trace sets.
#pragma once

#include "limiter/decision.hpp"
#include "tests/support/redis_client.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace weir::tests {

class backend {
 public:
  virtual ~backend() = default;
  /// Applies `op` at instant `t`. Throws std::runtime_error when there is no answer.
  virtual limiter::store_reply execute(limiter::operation op, std::span<const limiter::charge> charges,
                                       std::int64_t t) = 0;
  /// Forgets every subject; called between traces.
  virtual void reset() = 0;
};

/// `memory`, or what redis_client takes. Throws std::runtime_error.
std::unique_ptr<backend> open_backend(std::string_view store, const tls_files& files = {});

}  // namespace weir::tests
