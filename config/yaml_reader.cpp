// SPDX-License-Identifier: Apache-2.0
#include "config/yaml_reader.hpp"

#include "config/yaml_text.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <istream>
#include <limits>
#include <map>
#include <optional>
#include <streambuf>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

namespace weir::config {
namespace {

/// Reading cannot go on; the problem is already reported.
struct stop_reading {
  int line = 0;
};

/// A stream over text without copying it.
class view_buffer : public std::streambuf {
 public:
  explicit view_buffer(std::string_view text) {
    char* begin = const_cast<char*>(text.data());  // streambuf's interface; nothing is ever written
    setg(begin, begin, begin + text.size());
  }
};

/// Where a value begins, behind its anchor, and what is written there.
struct token {
  std::size_t begin = 0;
  place at;
  char first = '\0';
  bool tagged = false;
};

/// Turns the parser's events into a tree and refuses on the way what this reader is strict about.
class tree_builder : public YAML::EventHandler {
 public:
  tree_builder(const source_lines& source, reporter& report) : source_(source), report_(report) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (!seen_root_) return;
    const place at = token_at(mark).at;
    report_.error("E0109", at, "a policy file is one document: this text does not belong to it");
    throw stop_reading{at.line};
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const token t = token_at(mark);
    if (expects_key()) return drop_key(t.at, "an empty key");
    node n;
    n.at = pending_key() ? pending_key()->at : t.at;
    finish(std::move(n), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    token t = token_at(mark);
    t.at.width = static_cast<int>(word_length(t.begin));
    if (expects_key()) return drop_key(t.at, "an alias as a key");
    const auto target = anchors_.find(anchor);
    if (target == anchors_.end()) {
      report_.error("E0116", t.at, "an alias to the value that contains it");
      return finish(placeholder(t.at), 0);
    }
    if (!target->second.allowed) {
      report_.error("E0116", t.at, "this alias refers to an anchor outside the `x-` keys",
                    {"", "move the anchored value under a top-level key such as `x-common`"});
    }
    node copy = target->second.value;
    if (++copy.alias_depth > alias_depth_max) {
      report_.error("E0116", t.at,
                    fmt::format("aliases inside aliases are followed {} deep at most", alias_depth_max));
      throw stop_reading{t.at.line};
    }
    relocate(copy, t.at);
    finish(std::move(copy), 0);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    token t = token_at(mark);
    refuse_tag(t, tag);
    node n;
    n.kind = node_kind::scalar;
    n.text = value;
    n.plain = t.first != '\'' && t.first != '"' && t.first != '|' && t.first != '>';
    t.at.width = static_cast<int>(token_width(t, n));
    n.at = t.at;
    check_quote(t);
    if (expects_key()) return take_key(std::move(n));
    if (n.plain) refuse_notation(n);
    finish(std::move(n), anchor);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value style) override {
    open(node_kind::list, mark, tag, anchor, style);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value style) override {
    open(node_kind::map, mark, tag, anchor, style);
  }
  void OnMapEnd() override { close(); }

  /// The tree so far; open maps and lists are closed as they are.
  node take_root() {
    bounded_ = false;  // nothing grows any more, and the bound may be what stopped the reading
    while (!frames_.empty()) close();
    return std::move(root_);
  }

  /// The innermost `[` or `{` that is still open.
  [[nodiscard]] std::optional<place> open_bracket() const {
    for (auto f = frames_.rbegin(); f != frames_.rend(); ++f) {
      if (f->bracket) return f->at;
    }
    return std::nullopt;
  }

  /// Behind the last token that the parser reported.
  [[nodiscard]] std::size_t consumed() const noexcept { return consumed_; }
  /// Quoted texts, as [begin, end) offsets in ascending order.
  [[nodiscard]] const std::vector<std::pair<std::size_t, std::size_t>>& quoted_ranges() const noexcept {
    return quoted_;
  }

 private:
  struct frame {
    node value;
    YAML::anchor_t anchor = 0;
    place at;                     // of the token that opened it
    bool bracket = false;         // flow style
    bool stands_for_key = false;  // refused; read on, but not kept
    std::optional<entry> key;
    std::map<std::string, place, std::less<>> keys;
  };
  struct anchored {
    node value;
    bool allowed = false;
  };

  token token_at(const YAML::Mark& mark) {
    token t;
    t.begin = source_.offset(mark.line + 1, mark.column + 1);
    const auto text = source_.text();
    const auto skip_word = [&] {
      t.begin = std::min(text.find_first_of(" \t\r\n,[]{}", t.begin), text.size());
      t.begin = std::min(text.find_first_not_of(" \t\r\n", t.begin), text.size());
    };
    while (t.begin < text.size() && (text[t.begin] == '&' || text[t.begin] == '!')) {
      t.tagged = t.tagged || text[t.begin] == '!';
      skip_word();
    }
    t.first = t.begin < text.size() ? text[t.begin] : '\0';
    t.at = source_.at(t.begin);
    consumed_ = std::max(consumed_, t.begin);
    return t;
  }

  std::size_t word_length(std::size_t begin) const {
    const auto text = source_.text();
    return std::min(text.find_first_of(" \t\r\n,[]{}", begin), text.size()) - begin;
  }

  std::size_t token_width(const token& t, const node& n) {
    const auto text = source_.text();
    const auto line_end = std::min(text.find('\n', t.begin), text.size());
    std::size_t end = t.begin + 1;
    if (t.first == '\'' || t.first == '"') {
      end = end_of_quoted(text, t.begin).value_or(text.size());
      quoted_.emplace_back(t.begin, end);
    } else if (n.plain && text.substr(t.begin, n.text.size()) == n.text) {
      end = t.begin + std::max<std::size_t>(n.text.size(), 1);
    }
    consumed_ = std::max(consumed_, end);
    return std::max<std::size_t>(std::min(end, line_end) - std::min(t.begin, line_end), 1);
  }

  void check_quote(const token& t) {
    if (t.first != '\'' && t.first != '"') return;
    if (end_of_quoted(source_.text(), t.begin)) return;
    report_.error("E0103", {t.at.line, t.at.column, 1},
                  fmt::format("the quote opened at line {} is not closed", t.at.line));
    throw stop_reading{t.at.line};
  }

  void refuse_tag(const token& t, const std::string& tag) {
    const bool plain_tag = tag.empty() || tag == "?" || tag == "!";
    if (plain_tag && !t.tagged) return;
    report_.error("E0108", t.at, "tags are not allowed", {"write the value without `!`", ""});
  }

  void refuse_notation(const node& n) {
    const auto number = [&](std::string_view what, std::string hint) {
      report_.error("E0105", n.at,
                    fmt::format("{} is {}: readers of YAML disagree about its value", in_ticks(n.text), what),
                    {std::move(hint), ""});
    };
    constexpr const char* decimal = "write a decimal number, or quote it if it is text";
    switch (notation_of(n.text)) {
      case notation::fine:
        return;
      case notation::octal:
        return number("an octal number", decimal);
      case notation::hexadecimal:
        return number("a hexadecimal number", decimal);
      case notation::binary:
        return number("a binary number", decimal);
      case notation::underscore:
        return number("a number with `_`", "write it without `_`");
      case notation::exponent:
        return number("a number with an exponent", "write all digits");
      case notation::sexagesimal:
        return number("a sexagesimal number", "quote it if it is text");
      case notation::boolean:
        report_.error("E0106", n.at,
                      fmt::format("{} is true or false only for some readers of YAML", in_ticks(n.text)),
                      {"write `true` or `false`, or quote it if it is text", ""});
    }
  }

  [[nodiscard]] bool expects_key() const {
    return !frames_.empty() && frames_.back().value.kind == node_kind::map && !frames_.back().key;
  }

  [[nodiscard]] const entry* pending_key() const {
    return !frames_.empty() && frames_.back().key ? &*frames_.back().key : nullptr;
  }

  void refuse_key(const place& at, std::string_view what) {
    report_.error("E0111", at, fmt::format("{}: keys are plain text", what));
  }

  /// The value behind a refused key is read and not kept: an entry without a name.
  void drop_key(const place& at, std::string_view what) {
    refuse_key(at, what);
    frames_.back().key.emplace();
  }

  void take_key(node n) {
    auto& map = frames_.back();
    map.key.emplace(entry{n.text, n.at, {}});
    if (n.plain && n.text == "<<") {
      report_.error("E0107", n.at, "merge keys are not allowed",
                    {"repeat the keys, or use an alias for the whole value", ""});
      map.key->key.clear();
    } else if (n.plain && is_not_text(n.text)) {
      report_.error("E0111", n.at,
                    fmt::format("the key {} is not text for every reader of YAML", in_ticks(n.text)),
                    {"quote it", ""});
    } else if (n.text.empty()) {
      report_.error("E0111", n.at, "an empty key: keys are plain text");
    } else if (const auto [first, added] = map.keys.emplace(n.text, n.at); !added) {
      report_.error(
          "E0102", n.at, fmt::format("{} is given twice", in_ticks(n.text)),
          {fmt::format("first at line {}, column {}", first->second.line, first->second.column), ""});
      map.key->key.clear();  // the first one stays; the second is only checked for its own mistakes
    }
  }

  void open(node_kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
            YAML::EmitterStyle::value style) {
    const token t = token_at(mark);
    refuse_tag(t, tag);
    frame f;
    f.anchor = anchor;
    f.at = t.at;
    f.bracket = style == YAML::EmitterStyle::Flow && (t.first == '[' || t.first == '{');
    f.value.kind = kind;
    f.value.at = t.at;
    if (expects_key()) {
      refuse_key(t.at, kind == node_kind::map ? "a map as a key" : "a list as a key");
      f.stands_for_key = true;
    }
    if (frames_.size() >= static_cast<std::size_t>(nesting_max)) {
      report_.error("E0115", t.at, fmt::format("nesting is at most {} levels deep", nesting_max));
      throw stop_reading{t.at.line};
    }
    frames_.push_back(std::move(f));
  }

  void close() {
    frame f = std::move(frames_.back());
    frames_.pop_back();
    if (f.stands_for_key) {
      frames_.back().key.emplace();
      return;
    }
    // A map without brackets begins with its first key.
    if (!f.bracket && !f.value.entries.empty()) f.value.at.width = f.value.entries.front().at.width;
    finish(std::move(f.value), f.anchor);
  }

  /// A value is complete: remember it under its anchor and give it to the list or map around it.
  void finish(node n, YAML::anchor_t anchor) {
    seen_root_ = true;
    const int height = n.height + (n.kind == node_kind::list || n.kind == node_kind::map ? 1 : 0);
    if (bounded_ &&
        frames_.size() + static_cast<std::size_t>(height) > static_cast<std::size_t>(nesting_max)) {
      report_.error("E0115", n.at, fmt::format("nesting is at most {} levels deep", nesting_max));
      throw stop_reading{n.at.line};
    }
    charge(1, n.at);
    if (anchor != 0) {
      charge(count(n), n.at);
      anchors_[anchor] = anchored{n, inside_extension()};
    }
    if (frames_.empty()) {
      root_ = std::move(n);
      return;
    }
    auto& parent = frames_.back().value;
    parent.height = std::max(parent.height, height);
    parent.alias_depth = std::max(parent.alias_depth, n.alias_depth);
    if (parent.kind == node_kind::list) {
      parent.items.push_back(std::move(n));
      return;
    }
    auto key = std::move(frames_.back().key);
    frames_.back().key.reset();
    if (!key || key->key.empty()) return;  // its problem is reported
    key->value = std::move(n);
    parent.entries.push_back(std::move(*key));
  }

  /// Anchors are for values under the top-level `x-` keys.
  [[nodiscard]] bool inside_extension() const {
    return !frames_.empty() && frames_.front().key && frames_.front().key->key.starts_with("x-");
  }

  void charge(std::size_t nodes, const place& at) {
    nodes_ += nodes;
    if (!bounded_ || nodes_ <= nodes_max) return;
    report_.error("E0116", at, fmt::format("more than {} values, aliases expanded", nodes_max));
    throw stop_reading{at.line};
  }

  static std::size_t count(const node& n) {
    std::size_t total = 1;
    for (const auto& item : n.items) total += count(item);
    for (const auto& e : n.entries) total += count(e.value);
    return total;
  }

  /// What is inside an alias is shown at the alias: that is the line to look at.
  void relocate(node& n, const place& at) {
    charge(1, at);
    n.at = at;
    for (auto& item : n.items) relocate(item, at);
    for (auto& e : n.entries) {
      e.at = at;
      relocate(e.value, at);
    }
  }

  static node placeholder(const place& at) {
    node n;
    n.at = at;
    return n;
  }

  const source_lines& source_;
  reporter& report_;
  std::vector<frame> frames_;
  std::map<YAML::anchor_t, anchored> anchors_;
  std::vector<std::pair<std::size_t, std::size_t>> quoted_;
  node root_;
  std::size_t nodes_ = 0;
  std::size_t consumed_ = 0;
  bool seen_root_ = false;
  bool bounded_ = true;
};

/// Tabs outside quotes and comments, up to the line where reading stopped.
void refuse_tabs(const source_lines& source, const tree_builder& tree, int before_line, reporter& report) {
  const auto text = source.text();
  const auto& ranges = tree.quoted_ranges();
  std::size_t range = 0;
  bool comment = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    while (range < ranges.size() && ranges[range].second <= i) ++range;
    if (range < ranges.size() && i >= ranges[range].first) continue;
    if (text[i] == '\n') comment = false;
    if (text[i] == '#' && (i == 0 || text[i - 1] == ' ' || text[i - 1] == '\n' || text[i - 1] == '\t'))
      comment = true;
    if (text[i] != '\t' || comment) continue;
    const place at = source.at(i);
    if (at.line >= before_line) return;
    report.error("E0110", at, "a tab: YAML is indented and separated with spaces");
    i = std::min(text.find('\n', i), text.size()) - 1;  // one report a line
  }
}

/// The parser's words, for people who do not know its grammar.
std::string in_words(std::string_view parser_message) {
  using text_pair = std::pair<std::string_view, std::string_view>;
  constexpr std::array words{
      text_pair{"end of map not found", "this does not fit in here: check indentation and quotes"},
      text_pair{"end of sequence not found", "this does not fit into the list: check the indentation"},
      text_pair{"illegal map value", "a second `:` on one line, or a line that is indented too far"},
      text_pair{"illegal block entry", "a `-` that does not fit in here: check the indentation"},
      text_pair{"illegal flow end", "a closing bracket without an opening one"},
      text_pair{"the referenced anchor is not defined", "an alias without its anchor"},
      text_pair{"unknown token", "no value may begin with this character: quote it"},
  };
  for (const auto& [message, text] : words) {
    if (parser_message.starts_with(message)) return std::string{text};
  }
  return std::string{parser_message};
}

/// Explains why the parser gave up and returns the line that is to blame.
int explain(const YAML::ParserException& failure, const source_lines& source, const tree_builder& tree,
            reporter& report) {
  const std::string_view message = failure.msg;
  const auto text = source.text();
  const place at = source.at(source.offset(failure.mark.line + 1, failure.mark.column + 1));
  if (message.find("EOF in scalar") != std::string_view::npos) {
    const auto quote = text.find_first_of("'\"", tree.consumed());
    const place opened = quote == std::string_view::npos ? at : source.at(quote);
    report.error("E0103", opened, fmt::format("the quote opened at line {} is not closed", opened.line));
    return opened.line;
  }
  const bool inside = tree.open_bracket().has_value();
  if (message.find("flow not found") != std::string_view::npos || (inside && message == "illegal flow end")) {
    const place opened = tree.open_bracket().value_or(at);
    report.forget_behind(opened);  // what the parser made of the rest is guesswork
    const char bracket = text[std::min(source.offset(opened.line, opened.column), text.size() - 1)];
    report.error("E0104", opened,
                 fmt::format("the `{}` opened at line {} is not closed, or a comma is missing behind it",
                             bracket, opened.line));
    return opened.line;
  }
  const auto line_begin = source.offset(at.line, 1);
  const auto line = text.substr(line_begin, text.find('\n', line_begin) - line_begin);
  if (const auto tab = line.find('\t');
      tab != std::string_view::npos && line.substr(0, tab).find('#') == std::string_view::npos) {
    report.error("E0110", source.at(line_begin + tab), "a tab: YAML is indented and separated with spaces");
    return at.line;
  }
  report.error("E0101", at, in_words(message));
  return at.line;
}

}  // namespace

const entry* node::find(std::string_view key) const noexcept {
  const auto found =
      std::find_if(entries.begin(), entries.end(), [key](const entry& e) { return e.key == key; });
  return found == entries.end() ? nullptr : &*found;
}

document read_yaml(std::string_view text, reporter& report) {
  document result;
  const source_lines source{text};
  if (!check_bytes(source, report)) return result;
  tree_builder tree{source, report};
  view_buffer buffer{text};
  std::istream stream{&buffer};
  result.complete = true;
  const auto stopped = [&result](int line) {
    result.complete = false;
    result.stopped_at_line = line;
  };
  try {
    YAML::Parser parser{stream};
    // A second document is refused by the builder.
    if (parser.HandleNextDocument(tree)) parser.HandleNextDocument(tree);
  } catch (const stop_reading& stop) {
    stopped(stop.line);
  } catch (const YAML::ParserException& failure) {
    stopped(explain(failure, source, tree, report));
  } catch (const YAML::Exception& failure) {
    report.error("E0101", {}, in_words(failure.msg));
    stopped(0);
  }
  refuse_tabs(source, tree, result.complete ? std::numeric_limits<int>::max() : result.stopped_at_line,
              report);
  result.root = tree.take_root();
  return result;
}

}  // namespace weir::config
