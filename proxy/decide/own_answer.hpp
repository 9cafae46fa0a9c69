// SPDX-License-Identifier: Apache-2.0
// Which answer of weir's own a request gets that is not forwarded, as far as it follows from the decision.
#pragma once

#include "proxy/decide/limited_request.hpp"
#include "proxy/http/error_response.hpp"

#include <string_view>

namespace weir::proxy {

struct own_answer {
  http::local_error error = http::local_error::internal;
  std::string_view reason{};  ///< static text for the log
};

/// To a request without the user or key it needs: says why a token that came did not count.
[[nodiscard]] own_answer answer_to_unknown(const limited_request& request) noexcept;

/// To a request that the limiter denied, not for want of a slot. `failure`: why the store did not decide;
/// empty: it did.
[[nodiscard]] own_answer answer_to_denied(const limited_request& request, std::string_view failure) noexcept;

/// To a request that found no slot of `limit`.
[[nodiscard]] own_answer answer_without_slot(const limiter::rule& limit, bool waited) noexcept;

/// The status a client sees for `error`.
[[nodiscard]] int answer_status(const limited_request& request, http::local_error error) noexcept;

}  // namespace weir::proxy
