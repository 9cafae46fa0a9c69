// SPDX-License-Identifier: Apache-2.0
#include "config/problem.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace weir::config {
namespace {

constexpr std::size_t widest_line = 160;  // bytes of a source line shown around the caret

struct style {
  std::string_view name;
  std::string_view color;
};

style style_of(severity s) {
  switch (s) {
    case severity::error:
      return {"error", "\x1b[1;31m"};
    case severity::warning:
      return {"warning", "\x1b[1;33m"};
    case severity::note:
      break;
  }
  return {"note", "\x1b[1;36m"};
}

bool continues_character(char c) noexcept {
  return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
}

std::size_t characters(std::string_view text) {
  return text.size() - static_cast<std::size_t>(std::count_if(text.begin(), text.end(), continues_character));
}

std::string_view line_of(std::string_view source, int line) {
  for (int i = 1; i < line; ++i) {
    const auto end = source.find('\n');
    if (end == std::string_view::npos) return {};
    source.remove_prefix(end + 1);
  }
  auto text = source.substr(0, source.find('\n'));
  if (text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

/// What of a line is shown, and where in it the caret stands (bytes).
struct window {
  std::string_view text;
  std::size_t caret = 0;
};

/// The start of the character at `at`; a file in another encoding has none nearby, then `at` itself.
std::size_t character_start(std::string_view line, std::size_t at) {
  constexpr std::size_t longest_tail = 3;
  for (std::size_t back = 0; back <= std::min(longest_tail, at); ++back) {
    if (at - back >= line.size() || !continues_character(line[at - back])) return at - back;
  }
  return at;
}

window window_around(std::string_view line, std::size_t caret) {
  std::size_t begin = 0;
  if (line.size() > widest_line && caret > widest_line / 2)
    begin = character_start(line, caret - widest_line / 2);
  const std::size_t end = character_start(line, std::min(line.size(), begin + widest_line));
  return {line.substr(begin, end - begin), caret - begin};
}

/// Control bytes must not reach a terminal; tabs would shift the caret.
std::string printable(std::string_view text) {
  std::string out{text};
  std::replace_if(
      out.begin(), out.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == '\x7f'; },
      ' ');
  return out;
}

std::string source_block(const problem& p, std::string_view source, const style& s, bool color) {
  const auto line = line_of(source, p.line);
  const auto column = static_cast<std::size_t>(std::max(p.column, 1));
  const auto shown = window_around(line, std::min(column - 1, line.size()));
  const auto width = std::min(static_cast<std::size_t>(std::max(p.width, 1)),
                              std::max<std::size_t>(shown.text.size() - shown.caret, 1));
  const std::string number = fmt::format("{}", p.line);
  const std::string margin(number.size() + 1, ' ');
  const std::string carets(std::max<std::size_t>(characters(shown.text.substr(shown.caret, width)), 1), '^');
  std::string out = fmt::format("  --> {}:{}:{}\n{}|\n{} | {}\n", p.file, p.line, column, margin, number,
                                printable(shown.text));
  out += fmt::format("{}| {}{}{}{}", margin, std::string(characters(shown.text.substr(0, shown.caret)), ' '),
                     color ? s.color : "", carets, color ? "\x1b[0m" : "");
  if (!p.hint.empty()) out += " " + p.hint;
  return out + "\n";
}

std::string count(std::size_t n, std::string_view what) {
  return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
}

}  // namespace

std::string render(const problem& p, std::string_view source, bool color) {
  const auto s = style_of(p.severity);
  std::string out = fmt::format("{}{}[{}]{}: {}\n", color ? s.color : "", s.name, p.code,
                                color ? "\x1b[0m" : "", p.message);
  std::string margin = "   ";
  if (p.line > 0) {
    out += source_block(p, source, s, color);
    margin.assign(fmt::format("{}", p.line).size() + 1, ' ');
  }
  if (!p.help.empty()) out += fmt::format("{}= help: {}\n", margin, p.help);
  return out;
}

std::string summary(const std::vector<problem>& problems, std::string_view file) {
  const auto number = [&](severity s) {
    return static_cast<std::size_t>(
        std::count_if(problems.begin(), problems.end(), [s](const problem& p) { return p.severity == s; }));
  };
  return fmt::format("{}, {}, {} in {}", count(number(severity::error), "error"),
                     count(number(severity::warning), "warning"), count(number(severity::note), "note"),
                     file);
}

bool has_errors(const std::vector<problem>& problems) noexcept {
  return std::any_of(problems.begin(), problems.end(),
                     [](const problem& p) { return p.severity == severity::error; });
}

}  // namespace weir::config
