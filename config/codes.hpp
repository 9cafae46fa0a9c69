// SPDX-License-Identifier: Apache-2.0
// Every problem code a policy file can provoke, with one line of explanation.
#pragma once

#include <span>
#include <string_view>

namespace weir::config {

struct code_entry {
  std::string_view code;
  std::string_view explanation;
};

/// Sorted by code: E01xx YAML, E02xx values and environment, E03xx keys and structure, E04xx references,
/// E05xx files, W01xx limits, W02xx client identity, W05xx store.
[[nodiscard]] std::span<const code_entry> all_codes() noexcept;

/// The explanation of a code; empty when there is no such code.
[[nodiscard]] std::string_view explain_code(std::string_view code) noexcept;

}  // namespace weir::config
