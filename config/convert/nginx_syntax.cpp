// SPDX-License-Identifier: Apache-2.0
#include "config/convert/nginx_syntax.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace weir::config {
namespace {

struct nginx_token {
  std::string text;
  int line = 0;
  bool quoted = false;

  [[nodiscard]] bool is(std::string_view symbol) const { return !quoted && text == symbol; }
};

class lexer {
 public:
  explicit lexer(std::string_view text) : text_(text) {}

  /// An empty, unquoted token at the end.
  nginx_token next() {
    skip_blank();
    nginx_token token{{}, line_, false};
    if (at_ >= text_.size()) return token;
    const char first = text_[at_];
    if (first == '"' || first == '\'') return quoted(first);
    if (first == ';' || first == '{' || first == '}') {
      token.text = std::string(1, text_[at_++]);
      return token;
    }
    while (at_ < text_.size() && !ends_word()) token.text += take();
    return token;
  }

 private:
  void skip_blank() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '#') {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
        line_ += c == '\n' ? 1 : 0;
        ++at_;
      } else {
        return;
      }
    }
  }

  /// `${name}` and the braces of a regular expression belong to the word.
  bool ends_word() {
    const char c = text_[at_];
    if (c == '{') return at_ > 0 && text_[at_ - 1] != '$';
    if (c == '}') return !in_variable_;
    return c == ';' || c == ' ' || c == '\t' || c == '\r' || c == '\n';
  }

  /// Other backslashes are part of the text: of regular expressions.
  [[nodiscard]] bool escapes_next() const {
    return text_[at_] == '\\' && at_ + 1 < text_.size() &&
           std::string_view{"\"'\\ ;"}.find(text_[at_ + 1]) != std::string_view::npos;
  }

  char take() {
    const char c = text_[at_];
    if (c == '{') in_variable_ = true;
    if (c == '}') in_variable_ = false;
    if (escapes_next()) ++at_;
    return text_[at_++];
  }

  nginx_token quoted(char quote) {
    nginx_token token{{}, line_, true};
    for (++at_; at_ < text_.size() && text_[at_] != quote; ++at_) {
      if (escapes_next()) ++at_;
      line_ += text_[at_] == '\n' ? 1 : 0;
      token.text += text_[at_];
    }
    if (at_ >= text_.size()) throw not_readable{token.line, "a quote that is not closed"};
    ++at_;
    return token;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int line_ = 1;
  bool in_variable_ = false;
};

std::vector<nginx_directive> parse_block(lexer& tokens, int depth) {
  if (depth > nginx_nesting_max) throw not_readable{0, "blocks are nested too deep"};
  std::vector<nginx_directive> all;
  for (auto token = tokens.next();; token = tokens.next()) {
    const bool end = token.text.empty() && !token.quoted;
    if (end && depth > 0) throw not_readable{token.line, "a block that is not closed"};
    if (token.is("}") && depth == 0) throw not_readable{token.line, "a `}` without its `{`"};
    if (end || token.is("}")) return all;
    nginx_directive directive{token.text, {}, token.line, false, {}};
    for (token = tokens.next(); !token.is(";") && !token.is("{"); token = tokens.next()) {
      if (token.is("}") || (token.text.empty() && !token.quoted))
        throw not_readable{directive.line, "`" + directive.name + "` does not end with `;`"};
      directive.arguments.push_back(token.text);
    }
    directive.block = token.is("{");
    if (directive.block) directive.children = parse_block(tokens, depth + 1);
    all.push_back(std::move(directive));
  }
}

}  // namespace

std::string nginx_directive::parameter(std::string_view key) const {
  for (const auto& argument : arguments) {
    if (argument.starts_with(key) && argument.substr(key.size()).starts_with('='))
      return argument.substr(key.size() + 1);
  }
  return {};
}

bool nginx_directive::has(std::string_view argument) const {
  return std::find(arguments.begin(), arguments.end(), argument) != arguments.end();
}

std::vector<nginx_directive> parse_nginx(std::string_view text) {
  lexer tokens{text};
  return parse_block(tokens, 0);
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

void not_converted(policy_draft& draft, const nginx_directive& d, std::string_view why) {
  draft.note(d.line, fmt::format("`{}` is not converted{}{}", d.name, why.empty() ? "" : ": ", why));
}

}  // namespace weir::config
