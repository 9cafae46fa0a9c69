// SPDX-License-Identifier: Apache-2.0
// The service behind every peer: reads a request with its body and answers so many bytes.
#pragma once

#include "tests/bench/load/loop.hpp"

namespace weir::bench {

/// Serves on `port` from now on, as part of `where`: responses of `body` bytes.
void serve(loop& where, std::uint16_t port, std::size_t body);

}  // namespace weir::bench
