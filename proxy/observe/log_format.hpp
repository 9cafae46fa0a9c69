// SPDX-License-Identifier: Apache-2.0
// The renderings of an access record: one file each, one row each in log_format.cpp.
#pragma once

#include <span>
#include <string_view>

namespace weir::proxy {

struct access_record;

struct log_format {
  std::string_view name;     ///< in the policy file
  std::string_view meaning;  ///< for the key reference
  /// One line with its '\n', in the thread_room. Bytes from outside are escaped, fields over 2 KiB are cut
  /// and marked, absent values are left out.
  std::string_view (*line)(const access_record& r);
  /// Request fields, lower case, that the format wants whatever else is logged.
  std::span<const std::string_view> headers{};
};

/// Every format, in the order of the reference. Rows live as long as the process.
[[nodiscard]] std::span<const log_format> log_formats() noexcept;

/// Flat JSON.
[[nodiscard]] const log_format& default_log_format() noexcept;

[[nodiscard]] std::string_view json_line(const access_record& r);
[[nodiscard]] std::string_view ecs_line(const access_record& r);
[[nodiscard]] std::string_view envoy_line(const access_record& r);
[[nodiscard]] std::string_view caddy_line(const access_record& r);
[[nodiscard]] std::string_view clf_line(const access_record& r);

}  // namespace weir::proxy
