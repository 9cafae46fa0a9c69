// SPDX-License-Identifier: Apache-2.0
// The bytes of a YAML file before and beside the parser: encoding, lines, widths of tokens, notations.
#pragma once

#include "config/reporter.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::config {

/// A file with its lines. Lines and columns are 1-based, columns count bytes.
class source_lines {
 public:
  explicit source_lines(std::string_view text);
  [[nodiscard]] std::string_view text() const noexcept { return text_; }
  [[nodiscard]] std::size_t offset(int line, int column) const noexcept;  ///< clamped to the end of the text
  [[nodiscard]] place at(std::size_t offset, std::size_t width = 1) const noexcept;

 private:
  std::string_view text_;
  std::vector<std::size_t> starts_;
};

/// Size, UTF-8 and control characters; false: the text must not be given to the parser.
[[nodiscard]] bool check_bytes(const source_lines& source, reporter& report);

/// From an opening quote to behind the closing one; nothing when the text ends before.
[[nodiscard]] std::optional<std::size_t> end_of_quoted(std::string_view text, std::size_t open) noexcept;

enum class notation : std::uint8_t {
  fine,
  octal,
  hexadecimal,
  binary,
  underscore,
  exponent,
  sexagesimal,
  boolean
};

/// How other readers might take a plain scalar for something else than its text says.
[[nodiscard]] notation notation_of(std::string_view plain) noexcept;

/// A plain scalar that YAML takes for a number, a boolean or null.
[[nodiscard]] bool is_not_text(std::string_view plain) noexcept;

}  // namespace weir::config
