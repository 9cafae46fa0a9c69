// SPDX-License-Identifier: Apache-2.0
// Reads the members of one JSON line that a log format names, without building a tree and without allocating.
#pragma once

#include "proxy/replay/log_fields.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace weir::replay {

/// Where a field lies: names joined by dots, whether they are nested (`{"a":{"b":1}}`) or written so
/// (`{"a.b":1}`).
struct json_field {
  std::string_view path;
  log_field field = log_field::ignored;
  std::string_view header{};  ///< its name, for log_field::header
};

/// What a line may lack or do wrong; `what` is null when nothing is wrong.
struct line_problem {
  const char* what = nullptr;
  std::string_view field{};  ///< the one that is wrong; empty: the line as a whole
};

/// A hash table of fields, which must outlive it; at most 64, of paths up to 64 bytes.
class json_fields {
 public:
  json_fields(std::span<const json_field> fields, std::span<const json_field> more) noexcept;
  [[nodiscard]] const json_field* find(std::string_view path) const noexcept;

 private:
  void add(std::span<const json_field> fields) noexcept;
  std::array<const json_field*, 128> slots_{};
};

inline constexpr int max_json_depth = 16;

/// Reads one object. Strings are unescaped in place: `line` is changed, and `out` points into it. Of a name
/// given several times the last counts; of an array, every element is stored.
[[nodiscard]] line_problem read_json_line(std::span<char> line, const json_fields& fields,
                                          logged_request& out);

}  // namespace weir::replay
