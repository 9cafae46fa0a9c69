// SPDX-License-Identifier: Apache-2.0
// What a request is called in every log it passes.
#pragma once

#include "proxy/downstream/active_request.hpp"
#include "proxy/runtime/random.hpp"

#include <string>
#include <string_view>

namespace weir::proxy {

/// Appends a fresh request id: 128 random bits as 32 lower-case hex digits.
void append_random_id(std::string& out, random_source& random);

/// Fills request_id: the client's, when its head names one sane id, else a fresh one.
void find_request_id(active_request& request, std::string_view buffer, random_source& random);

}  // namespace weir::proxy
