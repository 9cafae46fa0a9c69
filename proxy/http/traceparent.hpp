// SPDX-License-Identifier: Apache-2.0
// The trace a request belongs to (W3C Trace Context).
#pragma once

#include <string_view>

namespace weir::http {

/// Views into the value of traceparent; both empty when it is not valid.
struct trace_context {
  std::string_view trace_id;  ///< 32 lower-case hex digits
  std::string_view span_id;   ///< 16 lower-case hex digits: the caller's
};

/// Version 00 exactly; of a later version the first four parts. Version ff, upper case and ids of zeros are
/// not valid.
[[nodiscard]] trace_context parse_traceparent(std::string_view value) noexcept;

}  // namespace weir::http
