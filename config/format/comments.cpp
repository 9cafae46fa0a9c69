// SPDX-License-Identifier: Apache-2.0
// Which element a comment or a blank line belongs to.
#include "config/format/syntax.hpp"

#include <algorithm>
#include <map>
#include <optional>

namespace weir::config {
namespace {

using ranges = std::vector<std::pair<std::size_t, std::size_t>>;

std::size_t line_begin(std::string_view text, std::size_t at) {
  const auto end = at == 0 ? std::string_view::npos : text.rfind('\n', at - 1);
  return end == std::string_view::npos ? 0 : end + 1;
}

std::size_t line_end(std::string_view text, std::size_t at) {
  return std::min(text.find('\n', at), text.size());
}

std::size_t column_of(std::string_view text, std::size_t at) {
  return at - line_begin(text, at);
}

std::string without_trailing_space(std::string_view line) {
  const auto last = line.find_last_not_of(" \t\r");
  return std::string{line.substr(0, last == std::string_view::npos ? 0 : last + 1)};
}

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r") == std::string_view::npos;
}

// ---- What is not a scalar: comments, and where brackets close

struct scan_result {
  std::vector<comment> comments;
  std::map<std::size_t, std::size_t> closed;  // opening bracket -> behind the closing one
};

scan_result scan(std::string_view text, const ranges& scalars) {
  scan_result found;
  std::vector<std::size_t> open;
  auto scalar = scalars.begin();
  for (std::size_t i = 0; i < text.size(); ++i) {
    while (scalar != scalars.end() && scalar->second <= i) ++scalar;
    if (scalar != scalars.end() && i >= scalar->first) {
      i = scalar->second - 1;
      continue;
    }
    const char c = text[i];
    if (c == '#' && (i == 0 || is_blank(text.substr(i - 1, 1)) || text[i - 1] == '\n')) {
      const auto end = line_end(text, i);
      const auto begin = line_begin(text, i);
      found.comments.push_back(
          {i, without_trailing_space(text.substr(i, end - i)), is_blank(text.substr(begin, i - begin))});
      i = end;
    } else if (c == '[' || c == '{') {
      open.push_back(i);
    } else if ((c == ']' || c == '}') && !open.empty()) {
      found.closed[open.back()] = i + 1;
      open.pop_back();
    }
  }
  return found;
}

void set_ends(syntax_node& n, const std::map<std::size_t, std::size_t>& closed) {
  for (auto& child : n.children) set_ends(child, closed);
  if (n.kind != syntax_kind::list && n.kind != syntax_kind::map) return;
  if (n.flow) {
    const auto end = closed.find(n.begin);
    n.end = end == closed.end() ? n.begin : end->second;
  } else if (!n.children.empty()) {
    n.begin = n.children.front().element_begin;
    n.end = std::max(n.children.back().end, n.children.back().key_end);
  }
}

// ---- Elements in the order of the file

struct element {
  syntax_node* node;
  std::vector<syntax_node*> around;  // lists and maps that contain it, the innermost last
};

void collect(syntax_node& n, std::vector<syntax_node*>& around, std::vector<element>& out) {
  around.push_back(&n);
  for (auto& child : n.children) {
    out.push_back({&child, around});
    collect(child, around, out);
  }
  around.pop_back();
}

bool is_collection(const syntax_node& n) {
  return n.kind == syntax_kind::list || n.kind == syntax_kind::map;
}

/// Gives comments to elements; both in the order of the file.
class attacher {
 public:
  attacher(std::string_view text, syntax_document& document) : text_(text), document_(document) {
    std::vector<syntax_node*> around;
    collect(document.root, around, elements_);
  }

  void attach() {
    std::size_t next_comment = 0;
    const auto& comments = document_.comments;
    std::vector<std::string> blank;
    for (std::size_t line = 0; line < text_.size();) {
      const auto end = line_end(text_, line);
      const bool commented = next_comment < comments.size() && comments[next_comment].begin < end;
      const bool in_scalar = inside_block_text(line);
      if (commented) {
        if (!comments[next_comment].own_line) give_blank(line, end, blank);
        take(comments[next_comment++], blank);
      } else if (is_blank(text_.substr(line, end - line)) && !in_scalar) {
        blank = {""};
      } else if (!in_scalar) {
        give_blank(line, end, blank);
      }
      line = end + 1;
    }
  }

 private:
  /// The first element that begins behind `at`.
  std::vector<element>::iterator behind(std::size_t at) {
    return std::upper_bound(elements_.begin(), elements_.end(), at, [](std::size_t place, const element& e) {
      return place < e.node->element_begin;
    });
  }

  bool inside_block_text(std::size_t at) {
    const auto next = behind(at);
    if (next == elements_.begin()) return false;
    const auto& last = *std::prev(next)->node;
    return last.block_text && at > last.begin && at < last.end;
  }

  /// A line with an element, after blank ones.
  void give_blank(std::size_t line, std::size_t end, std::vector<std::string>& blank) {
    const auto first = line == 0 ? elements_.begin() : behind(line - 1);
    if (!blank.empty() && first != elements_.end() && first != elements_.begin() &&
        first->node->element_begin < end)
      append(first->node->comments.above, blank);
    blank.clear();
  }

  static void append(std::vector<std::string>& lines, std::vector<std::string>& more) {
    lines.insert(lines.end(), more.begin(), more.end());
    more.clear();
  }

  void take(const comment& c, std::vector<std::string>& blank) {
    if (!c.own_line && put_beside(c)) return;
    auto& lines = own_line_place(c);
    append(lines, blank);
    lines.push_back(c.text);
  }

  // ---- Behind something on its line

  bool put_beside(const comment& c) {
    const auto line = line_begin(text_, c.begin);
    for (auto at = behind(c.begin); at != elements_.begin();) {
      --at;
      auto* inner = at->node;
      auto* outer = ended_on_line(*at, line, c.begin);
      if (outer == nullptr && inner->key_end > line && inner->key_end <= c.begin) outer = inner;
      if (outer == nullptr) continue;
      auto* owner = outer->comments.beside.empty() ? outer : inner;
      if (!owner->comments.beside.empty()) return false;
      owner->comments.beside = c.text;
      owner->comments.beside_column = column_of(text_, c.begin);
      return true;
    }
    return false;
  }

  /// The element that ends on the line before `at`: of nested brackets that all end there the outermost.
  static syntax_node* ended_on_line(element& e, std::size_t line, std::size_t at) {
    const auto ends_here = [&](const syntax_node& n) { return n.end > line && n.end <= at; };
    if (is_collection(*e.node) && !e.node->flow) return nullptr;
    if (e.node->kind == syntax_kind::null || !ends_here(*e.node)) return nullptr;
    auto* result = e.node;
    for (auto outer = e.around.rbegin(); outer != e.around.rend(); ++outer) {
      if (!(*outer)->flow || !ends_here(**outer)) break;
      result = *outer;
    }
    return result;
  }

  // ---- On a line of its own

  /// Above the element behind it, or below the ones before it when it is indented like them.
  std::vector<std::string>& own_line_place(const comment& c) {
    const auto next = behind(c.begin);
    if (next == elements_.begin() && next != elements_.end()) return document_.head;
    if (auto* brackets = open_brackets(c.begin)) {
      const bool inside = next != elements_.end() && contains(*next, brackets);
      return inside ? next->node->comments.above : brackets->comments.below;
    }
    const auto column = column_of(text_, c.begin);
    const bool deeper =
        next == elements_.end() || column > column_of(text_, next->node->element_begin) || !c.own_line;
    if (!deeper || next == elements_.begin()) return above(next);
    auto* owner = owner_by_column(*std::prev(next), column);
    if (owner == nullptr || (next != elements_.end() && contains(*next, owner))) return above(next);
    return owner->comments.below;
  }

  std::vector<std::string>& above(std::vector<element>::iterator next) {
    return next == elements_.end() ? document_.root.comments.below : next->node->comments.above;
  }

  /// The innermost list or map in brackets that is open at `at`.
  syntax_node* open_brackets(std::size_t at) {
    const auto next = behind(at);
    if (next == elements_.begin()) return document_.root.flow ? &document_.root : nullptr;
    auto& last = *std::prev(next);
    const auto open = [&](const syntax_node& n) { return n.flow && n.begin < at && at < n.end; };
    if (open(*last.node)) return last.node;
    for (auto outer = last.around.rbegin(); outer != last.around.rend(); ++outer) {
      if (open(**outer)) return *outer;
    }
    return nullptr;
  }

  static bool contains(const element& e, const syntax_node* collection) {
    return std::find(e.around.begin(), e.around.end(), collection) != e.around.end();
  }

  /// Of the lists and maps without brackets around an element the innermost that is not indented deeper.
  syntax_node* owner_by_column(const element& e, std::size_t column) {
    for (auto outer = e.around.rbegin(); outer != e.around.rend(); ++outer) {
      const bool block = !(*outer)->flow && !(*outer)->children.empty();
      if (block && column_of(text_, (*outer)->children.front().element_begin) <= column) return *outer;
    }
    return nullptr;
  }

  std::string_view text_;
  syntax_document& document_;
  std::vector<element> elements_;
};

/// What stands before the first element, `---` and directives included.
void keep_head(std::string_view text, syntax_document& document) {
  std::size_t end = text.size();
  if (!document.root.children.empty()) end = document.root.children.front().element_begin;
  std::vector<std::string> head;
  for (std::size_t line = 0; line < end; line = line_end(text, line) + 1) {
    auto content = without_trailing_space(text.substr(line, line_end(text, line) - line));
    if (line_end(text, line) >= end) break;
    content.erase(0, std::min(content.find_first_not_of(" \t"), content.size()));
    if (content.empty() || content[0] == '#' || content[0] == '%' || content.starts_with("---"))
      head.push_back(std::move(content));
  }
  document.head = std::move(head);
}

}  // namespace

syntax_document read_syntax(std::string_view text) {
  auto parsed = parse_syntax(text);
  auto scanned = scan(text, parsed.scalars);
  syntax_document document{std::move(parsed.root), {}, std::move(scanned.comments)};
  set_ends(document.root, scanned.closed);
  attacher{text, document}.attach();
  keep_head(text, document);
  return document;
}

}  // namespace weir::config
