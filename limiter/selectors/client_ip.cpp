// SPDX-License-Identifier: Apache-2.0
#include "limiter/selectors/selector_kind.hpp"

namespace weir::limiter::selectors {

const selector_kind client_ip{
    .name = "client_ip",
    .select = [](const std::string&, const request_attributes& request,
                 std::string&) -> std::optional<std::string_view> { return request.client_ip; },
};

}  // namespace weir::limiter::selectors
