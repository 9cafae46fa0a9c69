// SPDX-License-Identifier: Apache-2.0
#include "limiter/path_template.hpp"

#include "limiter/length_order.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace weir::limiter {
namespace {

constexpr std::size_t max_segments = 64;  // of a template: bounds the depth of the trie

/// Takes the next non-empty segment off `rest`; empty when none is left. Segments are short: a loop is done
/// before a search has begun.
std::string_view next_segment(std::string_view& rest) noexcept {
  std::size_t start = 0;
  while (start < rest.size() && rest[start] == '/') ++start;
  std::size_t end = start;
  while (end < rest.size() && rest[end] != '/') ++end;
  const std::string_view segment(rest.data() + start, end - start);
  rest = {rest.data() + end, rest.size() - end};
  return segment;
}

/// `{name}`
bool names(std::string_view segment, std::string_view name) noexcept {
  return segment.size() == name.size() + 2 && segment.front() == '{' &&
         segment.substr(1, name.size()) == name;
}

bool is_parameter(std::string_view segment) noexcept {
  return segment == "*" || segment.front() == '{';
}

constexpr bool is_alphanumeric(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/// What a normalised path leaves as it is: RFC 3986 pchar without ';', whose parameters are stripped.
bool is_literal(char c) noexcept {
  return is_alphanumeric(c) ||
         (c != '\0' && std::string_view("-._~!$&'()*+,=:@").find(c) != std::string_view::npos);
}

std::string parameter_problem(std::string_view segment, std::vector<std::string_view>& names) {
  if (segment.size() < 3 || segment.back() != '}') {
    return "a `{name}` must be a whole segment with a name, as in `/users/{id}`";
  }
  const std::string_view name = segment.substr(1, segment.size() - 2);
  if (!std::all_of(name.begin(), name.end(),
                   [](char c) { return is_alphanumeric(c) || c == '_' || c == '-'; })) {
    return "the name in `" + std::string(segment) + "` may hold letters, digits, `_` and `-` only";
  }
  if (std::find(names.begin(), names.end(), name) != names.end()) {
    return "`" + std::string(segment) + "` occurs twice";
  }
  names.push_back(name);
  return {};
}

int upper_hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// A template that the normaliser would have changed could never match, so it is refused.
std::string triplet_problem(std::string_view triplet) {
  const int high = triplet.size() == 3 ? upper_hex_value(triplet[1]) : -1;
  const int low = triplet.size() == 3 ? upper_hex_value(triplet[2]) : -1;
  if (high < 0 || low < 0) return "`%` must be followed by two upper-case hexadecimal digits";
  const auto decoded = static_cast<char>(high * 16 + low);
  if (is_alphanumeric(decoded) ||
      (decoded != '\0' && std::string_view("-._~").find(decoded) != std::string_view::npos)) {
    return "write `" + std::string(1, decoded) + "` instead of `" + std::string(triplet) + "`";
  }
  return {};
}

std::string literal_problem(std::string_view segment) {
  if (segment == "." || segment == "..") return "`.` and `..` are resolved before a path is matched";
  for (std::size_t i = 0; i < segment.size(); ++i) {
    const char c = segment[i];
    if (c == '*') return "`*` must be a whole segment, as in `/users/*`";
    if (c == '{' || c == '}') return "a `{name}` must be a whole segment with a name, as in `/users/{id}`";
    if (c == '?' || c == '#') return "a template has no query or fragment; it is matched with the path alone";
    if (c == ';') return "`;parameters` are removed before a path is matched";
    if (c == '%') {
      if (auto problem = triplet_problem(segment.substr(i, 3)); !problem.empty()) return problem;
      i += 2;
    } else if (!is_literal(c)) {
      return "a path cannot hold this character unencoded; write it as `%` and two hexadecimal digits";
    }
  }
  return {};
}

}  // namespace

std::string path_template_problem(std::string_view text) {
  if (text.empty() || text.front() != '/') return "a template starts with `/`";
  if (text.find("//") != std::string_view::npos) return "a template has no empty segment";
  std::vector<std::string_view> names;
  std::size_t count = 0;
  for (std::string_view rest = text, segment = next_segment(rest); !segment.empty();
       segment = next_segment(rest)) {
    if (++count > max_segments) return "a template has at most 64 segments";
    if (segment == "*") continue;
    if (segment == "**") {
      if (!next_segment(rest).empty()) return "`**` must be the last segment";
      return {};
    }
    auto problem = segment.front() == '{' ? parameter_problem(segment, names) : literal_problem(segment);
    if (!problem.empty()) return problem;
  }
  return {};
}

bool path_matches(std::string_view text, std::string_view path) noexcept {
  if (path.empty() || path.front() != '/') return false;  // `*` of OPTIONS is no path
  for (;;) {
    const std::string_view wanted = next_segment(text);
    if (wanted == "**") return true;
    const std::string_view segment = next_segment(path);
    if (wanted.empty() || segment.empty()) return wanted.empty() && segment.empty();
    if (!is_parameter(wanted) && wanted != segment) return false;
  }
}

std::optional<std::string_view> path_parameter(std::string_view text, std::string_view name,
                                               std::string_view path) noexcept {
  if (!path_matches(text, path)) return std::nullopt;
  for (;;) {
    const std::string_view wanted = next_segment(text);
    const std::string_view segment = next_segment(path);
    if (wanted.empty()) return std::nullopt;
    if (names(wanted, name)) return segment;
  }
}

bool has_path_parameter(std::string_view text, std::string_view name) noexcept {
  for (std::string_view segment = next_segment(text); !segment.empty(); segment = next_segment(text)) {
    if (names(segment, name)) return true;
  }
  return false;
}

std::string folded_template(std::string_view text) {
  std::string folded;
  bool in_name = false;
  for (const char c : text) {
    if (c == '{' || c == '}') in_name = c == '{';
    const bool upper = c >= 'A' && c <= 'Z';
    folded += upper && !in_name ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return folded;
}

struct path_trie::node {
  std::vector<std::pair<std::string, std::unique_ptr<node>>> literals;  // in length_order
  std::unique_ptr<node> parameter;                                      // `{id}` and `*`
  std::vector<std::uint32_t> exact;                                     // templates that end here
  std::vector<std::uint32_t> subtree;                                   // templates that end in `**` here

  node& literal(std::string_view segment) {
    auto place = find(segment);
    if (place == literals.end() || place->first != segment) {
      place = literals.emplace(place, std::string(segment), std::make_unique<node>());
    }
    return *place->second;
  }

  const node* literal_child(std::string_view segment) const {
    const auto place = const_cast<node*>(this)->find(segment);
    return place != literals.end() && !length_order{}(segment, place->first) ? place->second.get() : nullptr;
  }

  /// Visits the nodes reached by `rest`: at most both children per node, so never more nodes than templates
  /// have at this depth. Recursion is as deep as the longest template.
  void match(std::string_view rest, std::vector<std::uint32_t>& values) const {
    for (const std::uint32_t value : subtree) values.push_back(value);
    const std::string_view segment = next_segment(rest);
    if (segment.empty()) {
      for (const std::uint32_t value : exact) values.push_back(value);
      return;
    }
    if (const node* child = literal_child(segment)) child->match(rest, values);
    if (parameter) parameter->match(rest, values);
  }

 private:
  auto find(std::string_view segment) -> decltype(literals)::iterator {
    return std::lower_bound(
        literals.begin(), literals.end(), segment,
        [](const auto& entry, std::string_view text) { return length_order{}(entry.first, text); });
  }
};

path_trie::path_trie() : root_(std::make_unique<node>()) {}
path_trie::~path_trie() = default;
path_trie::path_trie(path_trie&&) noexcept = default;
path_trie& path_trie::operator=(path_trie&&) noexcept = default;

void path_trie::insert(std::string_view text, std::uint32_t value) {
  node* place = root_.get();
  for (std::string_view segment = next_segment(text); !segment.empty(); segment = next_segment(text)) {
    if (segment == "**") {
      place->subtree.push_back(value);
      return;
    }
    if (!is_parameter(segment)) {
      place = &place->literal(segment);
      continue;
    }
    if (!place->parameter) place->parameter = std::make_unique<node>();
    place = place->parameter.get();
  }
  place->exact.push_back(value);
}

void path_trie::match(std::string_view path, std::vector<std::uint32_t>& values) const {
  if (path.empty() || path.front() != '/') return;  // `*` of OPTIONS is no path
  const auto start = static_cast<std::ptrdiff_t>(values.size());
  root_->match(path, values);
  if (values.end() - values.begin() < start + 2) return;
  std::sort(values.begin() + start, values.end());
  values.erase(std::unique(values.begin() + start, values.end()), values.end());
}

}  // namespace weir::limiter
