// SPDX-License-Identifier: Apache-2.0
// A policy file as it is written: what the parser says, with the place of every token, and the comments. For
// text that the strict reader accepts.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace weir::config {

enum class syntax_kind : std::uint8_t { null, scalar, alias, list, map };

/// Comments and blank lines that belong to an element: a blank line is an empty text, comments begin with
/// `#`.
struct attached_comments {
  std::vector<std::string> above;
  std::string beside;              ///< behind the element on its line
  std::size_t beside_column = 0;   ///< 0-based, where it stood
  std::vector<std::string> below;  ///< of a list or map: behind its last element, indented like it
};

/// A value; within a list or map it is an element, with its key and comments.
struct syntax_node {
  syntax_kind kind = syntax_kind::null;
  std::string text;         ///< scalar: its value; alias: the anchor's name
  bool plain = false;       ///< scalar without quotes
  bool block_text = false;  ///< scalar in the forms `|` and `>`
  bool flow = false;        ///< list or map in brackets
  std::string anchor;
  std::size_t token_begin = 0;  ///< offset of the anchor or, without one, of the value
  std::size_t begin = 0;        ///< of the value; of a list or map without brackets, of its first element
  std::size_t end = 0;          ///< behind the value
  std::vector<syntax_node> children;

  std::string key;  ///< elements of a map
  bool key_plain = false;
  std::size_t key_begin = 0;
  std::size_t key_end = 0;
  attached_comments comments;

  /// Where the element begins: its key, or the dash of a list without brackets.
  std::size_t element_begin = 0;
};

struct comment {
  std::size_t begin = 0;
  std::string text;       ///< from `#` to the end of the line, without spaces at its end
  bool own_line = false;  ///< nothing but spaces before it
};

struct syntax_document {
  syntax_node root;
  std::vector<std::string> head;  ///< comments, blank lines and `---` before the first element
  std::vector<comment> comments;  ///< all of them, in order
};

/// Reads text and gives every comment and blank line to the element that it belongs to.
[[nodiscard]] syntax_document read_syntax(std::string_view text);

/// The tree without comments, and where its tokens are. Offsets [begin, end) of scalars in ascending order.
struct parsed_syntax {
  syntax_node root;
  std::vector<std::pair<std::size_t, std::size_t>> scalars;
};
[[nodiscard]] parsed_syntax parse_syntax(std::string_view text);

}  // namespace weir::config
