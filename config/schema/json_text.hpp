// SPDX-License-Identifier: Apache-2.0
// JSON for people: indented by two spaces; what is short stays on one line.
#pragma once

#include <boost/json.hpp>
#include <string>

namespace weir::config {

[[nodiscard]] std::string indented_json(const boost::json::value& value);

}  // namespace weir::config
