// SPDX-License-Identifier: Apache-2.0
// What the client of a decided request reads: the fields that tell of its limits, and the whole response when
// weir answers by itself.
#pragma once

#include "proxy/decide/limited_request.hpp"
#include "proxy/http/error_response.hpp"
#include "proxy/http/rate_limit_emitters.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace weir::proxy {

/// Appends the field lines that tell of the decision, of a response that is relayed as well as of weir's own:
/// what `emitters` make of it (on all responses or on denials only, by `deny.headers_on`), or when to come
/// back for want of a slot or of a store. `wall_us` (Unix time) is read with `deny.reset: epoch` only.
void append_limit_fields(std::string& out, const limited_request& request, const http::emitter_list& emitters,
                         std::int64_t wall_us);

/// What of a response does not follow from the decision.
struct response_frame {
  std::string_view buffer;        ///< of the request's head
  std::string_view limit_fields;  ///< lines of append_limit_fields
  std::string_view request_id;
  std::string_view date;
  bool close = false;  ///< Connection: close
};

/// Appends the answer to `request` with `error`; the body is left out for a HEAD. Answers how many of the
/// bytes are the body.
std::size_t append_own_response(std::string& out, const limited_request& request, http::local_error error,
                                const response_frame& frame);

/// Appends the answer to an OPTIONS that may be forwarded no further.
void append_own_options(std::string& out, const limited_request& request, const response_frame& frame);

}  // namespace weir::proxy
