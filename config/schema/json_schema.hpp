// SPDX-License-Identifier: Apache-2.0
// The JSON Schema of policy files, for editors: generated from the same tables that drive the reader.
#pragma once

#include <boost/json.hpp>
#include <string>

namespace weir::config {

/// Draft-07. It knows the keys, how values are written and most ranges; references between sections and what
/// depends on other keys only `weir check` knows.
[[nodiscard]] boost::json::object json_schema();

/// `json_schema()` as text, indented; what `weir schema` prints.
[[nodiscard]] std::string json_schema_text();

}  // namespace weir::config
