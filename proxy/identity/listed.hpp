// SPDX-License-Identifier: Apache-2.0
// Is a request on a list of `block` or `exempt`?
#pragma once

#include "limiter/request_attributes.hpp"
#include "proxy/settings.hpp"

#include <span>
#include <string>

namespace weir::identity {

/// The first item that speaks about the request; null: none does. `scratch` holds decoded values.
[[nodiscard]] const proxy::listed_requests* find_listed(std::span<const proxy::listed_requests> list,
                                                        const limiter::request_attributes& request,
                                                        std::string& scratch);

}  // namespace weir::identity
