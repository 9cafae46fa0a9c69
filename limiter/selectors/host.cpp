// SPDX-License-Identifier: Apache-2.0
#include "limiter/selectors/selector_kind.hpp"

namespace weir::limiter::selectors {

const selector_kind host{
    .name = "host",
    .select = [](const std::string&, const request_attributes& request,
                 std::string&) -> std::optional<std::string_view> { return request.host; },
};

}  // namespace weir::limiter::selectors
