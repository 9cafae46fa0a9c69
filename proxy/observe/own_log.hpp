// SPDX-License-Identifier: Apache-2.0
// weir's own log on stderr: one line per event, text or JSON. Thread-safe; never on the request path above debug.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "proxy/settings.hpp"

namespace weir::proxy {

struct log_field {
  std::string_view name;
  std::string value;
};

/// Sets level and format for the process; called at start and on reload.
void configure_own_log(const log_settings& settings) noexcept;

/// Writes `ts level msg name=value ...` (text) or one JSON object. Lines of equal level and msg beyond 10 a second are
/// suppressed and counted in the next one (`suppressed=N`). Values are escaped.
void log_event(log_level level, std::string_view message, std::initializer_list<log_field> fields = {});

}  // namespace weir::proxy
