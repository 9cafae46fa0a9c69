// SPDX-License-Identifier: Apache-2.0
// What each file of this folder provides: one row of the registry.
#pragma once

#include "limiter/request_attributes.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace weir::limiter::selectors {

struct selector_kind {
  std::string_view name;
  /// The argument in the form select() wants, or nothing when it is malformed. Null: takes no argument.
  std::optional<std::string> (*argument)(std::string_view text) = nullptr;
  std::optional<std::string_view> (*select)(const std::string& argument, const request_attributes& request,
                                            std::string& decoded) = nullptr;
  /// Null: the value cannot be given several times.
  bool (*repeated)(const std::string& argument, const request_attributes& request) = nullptr;
  bool can_be_absent = false;
  bool client_chosen = false;
};

extern const selector_kind client_ip;
extern const selector_kind method;
extern const selector_kind host;
extern const selector_kind route;
extern const selector_kind upstream;
extern const selector_kind user;
extern const selector_kind tier;
extern const selector_kind header;
extern const selector_kind query;
extern const selector_kind cookie;
extern const selector_kind claim;
extern const selector_kind path_param;
extern const selector_kind constant;

/// A field or cookie name: one or more token characters (RFC 9110 5.6.2).
[[nodiscard]] bool is_token(std::string_view text) noexcept;

/// Without spaces and tabs at both ends; nothing when nothing is left.
[[nodiscard]] std::optional<std::string_view> trimmed(std::string_view text) noexcept;

}  // namespace weir::limiter::selectors
