// SPDX-License-Identifier: Apache-2.0
#include "config/format/layout.hpp"

#include "config/format/scalars.hpp"
#include "config/key_tree.hpp"

#include <algorithm>
#include <optional>

namespace weir::config {
namespace {

// ---- The order of keys

/// Anchors under `x-` keys must come before the aliases that use them, so that they follow `version`.
std::size_t rank_of(const key_node& keys, const std::string& key) {
  const auto found = std::find_if(keys.children.begin(), keys.children.end(),
                                  [&](const auto& child) { return child.name == key; });
  if (found == keys.children.end()) return 1;
  const auto place = static_cast<std::size_t>(found - keys.children.begin());
  return place == 0 ? 0 : place + 1;
}

void sort_keys(syntax_node& n, const key_node* keys, const key_node* around) {
  if (keys == nullptr) return;
  const bool same_as_around = keys->doc && keys->doc->type == "map of the keys above";
  const auto* of = same_as_around ? around : keys;
  if (n.kind == syntax_kind::map && !of->children.empty() && !of->has_free_names()) {
    std::stable_sort(n.children.begin(), n.children.end(),
                     [&](const auto& a, const auto& b) { return rank_of(*of, a.key) < rank_of(*of, b.key); });
  }
  for (auto& child : n.children) {
    if (n.kind == syntax_kind::list) {
      sort_keys(child, keys, around);
    } else {
      sort_keys(child, of->child(child.key), of);
    }
  }
}

// ---- Writing

bool is_collection(const syntax_node& n) {
  return n.kind == syntax_kind::list || n.kind == syntax_kind::map;
}

bool is_comment(const std::string& line) {
  return !line.empty();
}

bool has_comments_inside(const syntax_node& n) {
  return std::any_of(n.comments.below.begin(), n.comments.below.end(), is_comment) ||
         std::any_of(n.children.begin(), n.children.end(), [](const auto& child) {
           return !child.comments.beside.empty() || child.block_text ||
                  std::any_of(child.comments.above.begin(), child.comments.above.end(), is_comment) ||
                  has_comments_inside(child);
         });
}

class writer {
 public:
  explicit writer(std::string_view source) : source_(source) {}

  std::string write(const syntax_document& document) {
    write_lines(document.head, 0, false);
    const auto& root = document.root;
    for (std::size_t i = 0; i < root.children.size(); ++i) write_entry(root.children[i], 0, i == 0);
    write_lines(root.comments.below, 0, false);
    return std::move(out_);
  }

 private:
  void spaces(std::size_t count) { out_.append(count, ' '); }

  [[nodiscard]] std::size_t column() const {
    const auto line = out_.rfind('\n');
    return line == std::string::npos ? out_.size() : out_.size() - line - 1;
  }

  /// Runs of blank lines become one; `first`: none at the beginning of a list or map.
  void write_lines(const std::vector<std::string>& lines, std::size_t indent, bool first) {
    for (const auto& line : lines) {
      const bool after_blank = out_.empty() || out_.ends_with("\n\n") || first;
      first = false;
      if (line.empty() && after_blank) continue;
      if (!line.empty()) spaces(indent);
      out_ += line + "\n";
    }
  }

  /// Ends the line, with the comment that stands there: in its column, if that is free.
  void end_line(const attached_comments& comments) {
    if (!comments.beside.empty()) {
      spaces(std::max(column() + 2, comments.beside_column) - column());
      out_ += comments.beside;
    }
    out_ += '\n';
  }

  static std::string key_text(const syntax_node& n, bool in_brackets) {
    return written_scalar(n.key, n.key_plain, in_brackets) + ":";
  }

  static std::string anchor_text(const syntax_node& n) {
    return n.anchor.empty() ? std::string{} : "&" + n.anchor + " ";
  }

  static std::string on_one_line(const syntax_node& n) {
    auto text = anchor_text(n);
    if (n.kind == syntax_kind::null) return text;
    if (n.kind == syntax_kind::alias) return "*" + n.text;
    if (n.kind == syntax_kind::scalar) return text + written_scalar(n.text, n.plain, true);
    const bool map = n.kind == syntax_kind::map;
    text += map ? '{' : '[';
    for (const auto& child : n.children) {
      if (&child != &n.children.front()) text += ", ";
      if (map) text += key_text(child, true) + (child.kind == syntax_kind::null ? "" : " ");
      text += on_one_line(child);
    }
    return text + (map ? '}' : ']');
  }

  bool stays_in_brackets(const syntax_node& n, std::size_t begin) const {
    if (n.children.empty()) return true;
    if (!n.flow || has_comments_inside(n)) return false;
    const auto& beside = n.comments.beside;
    return begin + on_one_line(n).size() + (beside.empty() ? 0 : 2 + beside.size()) <= layout_width;
  }

  /// A `|` or `>` text as it was, moved to its new indentation.
  void write_block_text(const syntax_node& n, std::size_t indent) {
    const auto text = source_.substr(n.begin, n.end - n.begin);
    auto line_end = std::min(text.find('\n'), text.size());
    auto head = text.substr(0, line_end);
    head = head.substr(0, head.find_first_of(" #\r"));
    out_ += head;
    end_line(n.comments);
    std::optional<std::size_t> was;
    while (line_end < text.size()) {
      const auto begin = line_end + 1;
      line_end = std::min(text.find('\n', begin), text.size());
      auto line = text.substr(begin, line_end - begin);
      if (line.ends_with('\r')) line.remove_suffix(1);
      const auto first = line.find_first_not_of(' ');
      if (first == std::string_view::npos) {
        out_ += '\n';
        continue;
      }
      if (!was) was = first;
      spaces(indent);
      out_.append(line.substr(std::min(*was, first)));
      out_ += '\n';
    }
  }

  /// Behind "key:" or "-". `indent` is that of elements of the value, when they go below.
  void write_value(const syntax_node& n, std::size_t indent) {
    if (is_collection(n) && !stays_in_brackets(n, column() + 1)) return write_below(n, indent);
    if (n.kind == syntax_kind::null && n.anchor.empty()) return end_line(n.comments);
    out_ += ' ';
    if (n.block_text) {
      out_ += anchor_text(n);
      return write_block_text(n, indent);
    }
    out_ += n.kind == syntax_kind::scalar ? anchor_text(n) + written_scalar(n.text, n.plain, false)
                                          : on_one_line(n);
    end_line(n.comments);
  }

  void write_below(const syntax_node& n, std::size_t indent) {
    if (!n.anchor.empty()) out_ += " &" + n.anchor;
    end_line(n.comments);
    write_children(n, indent, true);
  }

  void write_children(const syntax_node& n, std::size_t indent, bool first) {
    for (const auto& child : n.children) {
      if (n.kind == syntax_kind::map) {
        write_entry(child, indent, first);
      } else {
        write_item(child, indent, first);
      }
      first = false;
    }
    write_lines(n.comments.below, indent, false);
  }

  void write_entry(const syntax_node& n, std::size_t indent, bool first) {
    write_lines(n.comments.above, indent, first);
    spaces(indent);
    write_keyed(n, indent);
  }

  void write_keyed(const syntax_node& n, std::size_t indent) {
    out_ += key_text(n, false);
    write_value(n, indent + layout_indent);
  }

  /// The first key of a map goes behind the dash; comments above it, or behind the map, go above the dash.
  void write_item(const syntax_node& n, std::size_t indent, bool first) {
    write_lines(n.comments.above, indent, first);
    const bool below = is_collection(n) && !stays_in_brackets(n, indent + 2);
    const bool behind_dash = below && n.kind == syntax_kind::map && n.anchor.empty();
    if (behind_dash) {
      if (!n.comments.beside.empty()) write_lines({n.comments.beside}, indent, true);
      write_lines(n.children.front().comments.above, indent, true);
    }
    spaces(indent);
    out_ += '-';
    if (!behind_dash) return write_value(n, indent + layout_indent);
    out_ += ' ';
    write_keyed(n.children.front(), indent + layout_indent);
    for (std::size_t i = 1; i < n.children.size(); ++i)
      write_entry(n.children[i], indent + layout_indent, false);
    write_lines(n.comments.below, indent + layout_indent, false);
  }

  std::string_view source_;
  std::string out_;
};

}  // namespace

std::string lay_out(syntax_document document, std::string_view source) {
  sort_keys(document.root, &key_tree(), nullptr);
  return writer{source}.write(document);
}

}  // namespace weir::config
