// SPDX-License-Identifier: Apache-2.0
#include "config/format/syntax.hpp"

#include "config/yaml_text.hpp"

#include <algorithm>
#include <map>
#include <sstream>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

namespace weir::config {
namespace {

using range = std::pair<std::size_t, std::size_t>;

constexpr std::string_view blanks = " \t\r\n";

std::size_t line_end(std::string_view text, std::size_t at) {
  return std::min(text.find('\n', at), text.size());
}

/// Behind a plain scalar, which may go over several lines: `value` has one space or line end for each of
/// them.
std::size_t end_of_plain(std::string_view text, std::size_t begin, std::string_view value) {
  std::size_t at = begin;
  for (std::size_t i = 0; i < value.size();) {
    if (blanks.find(value[i]) == std::string_view::npos) {
      ++at;
      ++i;
      continue;
    }
    i = std::min(value.find_first_not_of(blanks, i), value.size());
    at = std::min(text.find_first_not_of(blanks, at), text.size());
  }
  return std::min(at, text.size());
}

/// Behind the last line of a `|` or `>` text: the first line that is indented less than its first one.
std::size_t end_of_block_text(std::string_view text, std::size_t begin) {
  std::size_t end = line_end(text, begin);
  std::size_t indent = 0;
  for (std::size_t line = end + 1; line < text.size();) {
    const auto next = line_end(text, line);
    const auto first = text.find_first_not_of(' ', line);
    const bool blank = first >= next || text[first] == '\r';
    if (!blank && indent == 0) indent = first - line;
    if (!blank && (first - line < indent || indent == 0)) break;
    if (!blank) end = next;
    line = next + 1;
  }
  return end;
}

/// Turns the parser's events into the tree.
class syntax_builder : public YAML::EventHandler {
 public:
  explicit syntax_builder(std::string_view text) : text_(text), lines_(text) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
    syntax_node n;
    n.anchor = skip_anchor(mark, n);
    n.end = n.begin;
    // what is absent stands behind its key
    if (!frames_.empty() && frames_.back().key_pending) n.begin = n.end = frames_.back().key.key_end;
    finish(std::move(n));
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    syntax_node n;
    n.kind = syntax_kind::alias;
    n.token_begin = n.begin = lines_.offset(mark.line + 1, mark.column + 1);
    n.end = word_end(n.begin);
    n.text = text_.substr(n.begin + 1, n.end - n.begin - 1);
    scalars.emplace_back(n.begin, n.end);
    finish(std::move(n));
  }

  void OnScalar(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                const std::string& value) override {
    syntax_node n;
    n.kind = syntax_kind::scalar;
    n.anchor = skip_anchor(mark, n);
    n.text = value;
    const char first = n.begin < text_.size() ? text_[n.begin] : '\0';
    n.block_text = first == '|' || first == '>';
    n.plain = first != '\'' && first != '"' && !n.block_text;
    if (n.block_text) {
      n.end = end_of_block_text(text_, n.begin);
      scalars.emplace_back(line_end(text_, n.begin), n.end);  // a comment may follow the indicator
    } else {
      n.end = n.plain ? end_of_plain(text_, n.begin, value)
                      : end_of_quoted(text_, n.begin).value_or(text_.size());
      scalars.emplace_back(n.begin, n.end);
    }
    finish(std::move(n));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value style) override {
    open(syntax_kind::list, mark, style);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value style) override {
    open(syntax_kind::map, mark, style);
  }
  void OnMapEnd() override { close(); }

  syntax_node root;
  std::vector<range> scalars;

 private:
  struct frame {
    syntax_node value;
    syntax_node key;  // its key parts only
    bool key_pending = false;
  };

  std::size_t word_end(std::size_t begin) const {
    return std::min(text_.find_first_of(" \t\r\n,[]{}", begin), text_.size());
  }

  /// The anchor's name; sets where the token and the value behind it begin.
  std::string skip_anchor(const YAML::Mark& mark, syntax_node& n) const {
    n.token_begin = n.begin = lines_.offset(mark.line + 1, mark.column + 1);
    if (n.begin >= text_.size() || text_[n.begin] != '&') return {};
    const auto end = word_end(n.begin);
    std::string name{text_.substr(n.begin + 1, end - n.begin - 1)};
    n.begin = std::min(text_.find_first_not_of(blanks, end), text_.size());
    return name;
  }

  void open(syntax_kind kind, const YAML::Mark& mark, YAML::EmitterStyle::value style) {
    frame f;
    f.value.kind = kind;
    f.value.anchor = skip_anchor(mark, f.value);
    const char first = f.value.begin < text_.size() ? text_[f.value.begin] : '\0';
    f.value.flow = style == YAML::EmitterStyle::Flow && (first == '[' || first == '{');
    frames_.push_back(std::move(f));
  }

  void close() {
    auto value = std::move(frames_.back().value);
    frames_.pop_back();
    finish(std::move(value));
  }

  /// The dash of a list without brackets.
  std::size_t dash_before(std::size_t begin) const {
    const auto dash = begin == 0 ? std::string_view::npos : text_.rfind('-', begin - 1);
    return dash == std::string_view::npos ? begin : dash;
  }

  void finish(syntax_node n) {
    if (frames_.empty()) {
      root = std::move(n);
      return;
    }
    auto& parent = frames_.back();
    if (parent.value.kind == syntax_kind::list) {
      n.element_begin = parent.value.flow ? n.begin : item_begin(n);
      parent.value.children.push_back(std::move(n));
    } else if (!parent.key_pending) {
      parent.key.key = n.text;
      parent.key.key_plain = n.plain;
      parent.key.key_begin = n.begin;
      parent.key.key_end = n.end;
      parent.key_pending = true;
    } else {
      n.key = std::move(parent.key.key);
      n.key_plain = parent.key.key_plain;
      n.element_begin = n.key_begin = parent.key.key_begin;
      n.key_end = parent.key.key_end;
      parent.key_pending = false;
      parent.value.children.push_back(std::move(n));
    }
  }

  std::size_t item_begin(const syntax_node& n) const {
    const bool anchored = !n.anchor.empty();
    const bool block = (n.kind == syntax_kind::map || n.kind == syntax_kind::list) && !n.flow;
    return dash_before(block && !anchored && !n.children.empty() ? n.children.front().element_begin
                                                                 : n.token_begin);
  }

  std::string_view text_;
  source_lines lines_;
  std::vector<frame> frames_;
};

}  // namespace

parsed_syntax parse_syntax(std::string_view text) {
  syntax_builder builder{text};
  std::istringstream stream{std::string{text}};
  YAML::Parser parser{stream};
  parser.HandleNextDocument(builder);
  std::sort(builder.scalars.begin(), builder.scalars.end());
  return {std::move(builder.root), std::move(builder.scalars)};
}

}  // namespace weir::config
