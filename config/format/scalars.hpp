// SPDX-License-Identifier: Apache-2.0
// How a scalar is written: without quotes where every reader of YAML then takes it for the same text.
#pragma once

#include <string>
#include <string_view>

namespace weir::config {

/// `was_plain`: it had no quotes before and may stay so, also where it is a number or a boolean.
[[nodiscard]] std::string written_scalar(std::string_view text, bool was_plain, bool in_brackets);

}  // namespace weir::config
