// SPDX-License-Identifier: Apache-2.0
// The trie of path templates: `/v1/users/{id}`, `*` (one segment), `/**` (any number of segments, last only).
// Routes and rule matches share it. Matching is O(path), without backtracking over the input more than once
// per template kind, and never allocates.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::limiter {

/// Why a template is not one; empty = fine. Messages are ready for a config error, e.g.
/// "`**` must be the last segment".
[[nodiscard]] std::string path_template_problem(std::string_view text);

/// True when the template matches the normalised path: what path_trie::match answers, for a single template.
/// `text` must have no problem.
[[nodiscard]] bool path_matches(std::string_view text, std::string_view path) noexcept;

/// The segment that `{name}` matched; nothing when the template does not match the normalised path or has no
/// such segment.
[[nodiscard]] std::optional<std::string_view> path_parameter(std::string_view text, std::string_view name,
                                                             std::string_view path) noexcept;

/// True when the template has a segment `{name}`.
[[nodiscard]] bool has_path_parameter(std::string_view text, std::string_view name) noexcept;

/// The template in lower case, but for the names of its parameters, which no path is compared with.
[[nodiscard]] std::string folded_template(std::string_view text);

/// A set of templates, each with a caller-chosen number ("value"). Immutable after the last insert().
class path_trie {
 public:
  path_trie();
  ~path_trie();
  path_trie(path_trie&&) noexcept;
  path_trie& operator=(path_trie&&) noexcept;

  /// `text` must have no problem. The same template may be inserted with several values.
  void insert(std::string_view text, std::uint32_t value);

  /// Appends every value whose template matches the normalised path, in ascending order, without duplicates.
  /// A trailing slash is no segment: `/a/` and `/a` match the same templates; `/files/**` matches `/files`.
  void match(std::string_view path, std::vector<std::uint32_t>& values) const;

 private:
  struct node;
  std::unique_ptr<node> root_;
};

}  // namespace weir::limiter
