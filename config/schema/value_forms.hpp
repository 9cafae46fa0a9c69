// SPDX-License-Identifier: Apache-2.0
// The forms of values that the rows of the tables name in `type`, as JSON Schema (draft-07).
#pragma once

#include "config/table.hpp"

#include <boost/json.hpp>
#include <optional>

namespace weir::config {

/// What a key takes. A scalar may always be a text with `${VAR}`: its value is known only when it is read.
/// `below` is the map of the keys below it (a JSON Schema; null when it has none); an item of a list of maps,
/// too. Throws std::logic_error for a form that is not one of these: a row's mistake, which a test finds.
[[nodiscard]] boost::json::object value_schema(const key_doc& key, const boost::json::value& below);

/// The default as a value, when it is one: "5s", 100, ["v1", "v2"]; nothing for words like "every".
[[nodiscard]] std::optional<boost::json::value> default_value(const key_doc& key);

}  // namespace weir::config
