// SPDX-License-Identifier: Apache-2.0
// Decimal numbers of answers and log lines.
#pragma once

#include "limiter/decimal.hpp"

namespace weir::proxy {

using limiter::longest_decimal;
using limiter::put_decimal;
using limiter::put_three_digits;
using limiter::put_two_digits;

}  // namespace weir::proxy
