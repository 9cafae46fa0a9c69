// SPDX-License-Identifier: Apache-2.0
// The field lines of the response that a client of the running proxy would read, by the same functions that
// write them there.
#pragma once

#include "proxy/offline/evaluator.hpp"

#include <string>

namespace weir::proxy::offline {

/// Of a decided request: those of weir's own answer, or those that weir adds to the response it relays. The
/// emitters are those of the first listener; the clock is that of the decision; a request id that the client
/// did not choose is shown as zeros.
[[nodiscard]] std::string shown_fields(const evaluated_request& request);

/// Of a request that was forwarded: those of `response`, as the client gets them. What frames a body is left
/// out, since `response` does not say how it comes.
[[nodiscard]] std::string shown_fields(const evaluated_request& request, const described_response& response);

}  // namespace weir::proxy::offline
