// SPDX-License-Identifier: Apache-2.0
// Path normalisation: once, and the result is used for routes, rules, keys, logs and the upstream alike.
#pragma once

#include <string>
#include <string_view>

namespace weir::http {

struct normalised_target {
  std::string_view path;   ///< starts with exactly one '/', or is "*"
  std::string_view query;  ///< byte for byte as received, without '?'
  bool has_query = false;
  bool encoded_slash = false;  ///< `%2F` is in the path: 400 unless its route takes it as data
  bool parameters = false;     ///< `;parameters` were removed
};

/// Normalises an origin-form target (or "*"). `storage` is written only when the path changes; the views
/// point into `target` or `storage`. False: the path must be refused with 400.
/// An encoded slash stays `%2F`; a dot segment between encoded slashes is refused.
[[nodiscard]] bool normalise_target(std::string_view target, std::string& storage, normalised_target& out);

}  // namespace weir::http
