// SPDX-License-Identifier: Apache-2.0
#include "limiter/selectors/selector_kind.hpp"

namespace weir::limiter::selectors {

const selector_kind user{
    .name = "user",
    .select = [](const std::string&, const request_attributes& request,
                 std::string&) -> std::optional<std::string_view> { return request.user; },
    .can_be_absent = true,
    .client_chosen = true,
};

}  // namespace weir::limiter::selectors
