// SPDX-License-Identifier: Apache-2.0
// JSON that has one reading. Only the files of this folder that know jansson include it.
#pragma once

#include <jansson.h>
#include <memory>
#include <string_view>

namespace weir::identity {

struct json_release {
  void operator()(json_t* value) const noexcept { json_decref(value); }
};
using json_owner = std::unique_ptr<json_t, json_release>;

/// One object and nothing behind it. Null: no JSON, no object, nested deeper than 16, a member given twice
/// (at any depth), text that is not UTF-8 or holds NUL, or a number that no 64-bit integer or double holds.
[[nodiscard]] json_owner parse_object(std::string_view text) noexcept;

/// The text of a member; empty view with data() == nullptr: absent, or of another type.
[[nodiscard]] std::string_view text_member(const json_t* object, const char* name) noexcept;

}  // namespace weir::identity
