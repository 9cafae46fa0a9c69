// SPDX-License-Identifier: Apache-2.0
// Log lines that are text: a format string such as nginx' log_format says where each value lies.
#pragma once

#include "proxy/replay/json_line.hpp"
#include "proxy/replay/log_fields.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weir::replay {

/// A compiled format string: literal text and `$variables`, with the names of nginx. Variables that say
/// nothing about a request (`$_`, `$remote_user`, any unknown name) match what is there and store nothing. A
/// value ends where the text behind its variable begins; between quotes `\"` does not end it, and `\"` `\\`
/// `\xHH` are unescaped.
class text_format {
 public:
  /// `problem` is set when nothing is returned: two variables side by side, or too little for a replay.
  [[nodiscard]] static std::optional<text_format> compile(std::string_view format, std::string& problem);

  /// Unescapes in place: `line` is changed, and `out` points into it.
  [[nodiscard]] line_problem read(std::span<char> line, logged_request& out) const;

  [[nodiscard]] bool has(log_field field) const noexcept;
  /// Lower case.
  [[nodiscard]] std::vector<std::string> headers() const;

 private:
  struct variable {
    log_field field = log_field::ignored;
    std::string name;    // as in the format, for messages
    std::string header;  // log_field::header
    std::string behind;  // literal text up to the next variable; empty only at the end
  };
  std::string front_;  // before the first variable
  std::vector<variable> variables_;
};

/// What a variable of a format string holds; `header` is set with log_field::header.
[[nodiscard]] log_field field_of_variable(std::string_view name, std::string& header);

}  // namespace weir::replay
