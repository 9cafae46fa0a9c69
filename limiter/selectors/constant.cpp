// SPDX-License-Identifier: Apache-2.0
// `constant:TEXT`: one bucket for everybody.
#include "limiter/selectors/selector_kind.hpp"

namespace weir::limiter::selectors {

const selector_kind constant{
    .name = "constant",
    .argument = [](std::string_view text) -> std::optional<std::string> {
      if (text.empty()) return std::nullopt;
      return std::string(text);
    },
    .select = [](const std::string& argument, const request_attributes&,
                 std::string&) -> std::optional<std::string_view> { return argument; },
};

}  // namespace weir::limiter::selectors
