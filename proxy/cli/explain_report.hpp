// SPDX-License-Identifier: Apache-2.0
// What `weir explain` found, as text for people and as one JSON object a line for scripts.
#pragma once

#include "proxy/offline/explanation.hpp"

#include <string>

namespace weir::cli {

/// `live`: what remains was read from the policy's store.
[[nodiscard]] std::string explain_text(const proxy::offline::evaluated_request& request, bool live,
                                       bool color);
[[nodiscard]] std::string explain_json(const proxy::offline::evaluated_request& request);

}  // namespace weir::cli
