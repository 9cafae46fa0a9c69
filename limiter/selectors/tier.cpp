// SPDX-License-Identifier: Apache-2.0
#include "limiter/selectors/selector_kind.hpp"

namespace weir::limiter::selectors {

const selector_kind tier{
    .name = "tier",
    .select = [](const std::string&, const request_attributes& request,
                 std::string&) -> std::optional<std::string_view> { return request.tier; },
    .can_be_absent = true,
};

}  // namespace weir::limiter::selectors
