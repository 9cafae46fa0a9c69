// SPDX-License-Identifier: Apache-2.0
// Nodes to values. Each reader reports what is wrong and then returns nothing.
#pragma once

#include "config/reporter.hpp"
#include "config/units.hpp"
#include "config/yaml_reader.hpp"
#include "limiter/rule.hpp"
#include "proxy/source_file.hpp"

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weir::config {

/// What every reader needs beside the node.
struct context {
  reporter& report;
  std::string directory;  ///< files of the policy are relative to it; empty = working directory
  std::vector<proxy::source_file>& files;  ///< collected: every file that was read
};

/// The value for a message: what the file says, never what the environment put there.
[[nodiscard]] std::string shown(const node& n);

/// A scalar's text; a map, a list or nothing is E0301.
[[nodiscard]] std::optional<std::string_view> read_text(const node& n, context& ctx);

/// A scalar read by one of the functions of units.hpp; its refusal is reported under `code`.
template <class T>
[[nodiscard]] std::optional<T> read_unit(const node& n, context& ctx, std::string_view code,
                                         parsed<T> (*parse)(std::string_view)) {
  const auto text = read_text(n, ctx);
  if (!text) return std::nullopt;
  auto result = parse(*text);
  if (!result.value) {
    ctx.report.error(code, n.at, result.message + ", found " + shown(n), {std::move(result.hint), ""});
  }
  return std::move(result.value);
}

[[nodiscard]] std::optional<std::int64_t> read_integer(const node& n, context& ctx, std::int64_t min,
                                                       std::int64_t max);
[[nodiscard]] std::optional<bool> read_boolean(const node& n, context& ctx);
[[nodiscard]] std::optional<std::chrono::milliseconds> read_duration(const node& n, context& ctx,
                                                                     std::chrono::milliseconds min,
                                                                     std::chrono::milliseconds max);
[[nodiscard]] std::optional<int> read_percent(const node& n, context& ctx, int max);
[[nodiscard]] std::optional<std::uint64_t> read_size(const node& n, context& ctx, std::uint64_t min,
                                                     std::uint64_t max);

/// `[a-z][a-z0-9-]{0,63}`
[[nodiscard]] bool is_name(std::string_view text) noexcept;
[[nodiscard]] std::optional<std::string> read_name(const node& n, context& ctx);

/// A token of RFC 9110 (field names, methods, pseudonyms), at most 64 characters.
[[nodiscard]] bool is_token(std::string_view text) noexcept;

/// An upper-case request method.
[[nodiscard]] std::optional<std::string> read_method(const node& n, context& ctx);

/// A status code from 100 to 599 or a class such as `4xx`, added to `out`.
void read_status(limiter::counted_statuses& out, const node& n, context& ctx);

/// "rule `per-ip`" when the map has a name, else "a rule".
[[nodiscard]] std::string name_of(const node& n, std::string_view what);

[[nodiscard]] std::string lower_case(std::string_view text);

/// The index of the scalar's text in `words`; another word is E0206 with a suggestion.
[[nodiscard]] std::optional<std::size_t> read_word(const node& n, context& ctx,
                                                   std::span<const std::string_view> words);

enum class single { refused, accepted };

/// Calls `read` for every item of a list; `one == accepted`: a scalar counts as a list of one item.
void read_list(const node& n, context& ctx, std::size_t min, std::size_t max, single one,
               const std::function<void(const node&)>& read);

/// Calls `read` for every entry of a map whose keys are the user's own; anything else is E0301: `expected`
/// says what should stand there, `form` shows it.
void read_entries(const node& n, context& ctx, std::string_view expected, std::string_view form,
                  const std::function<void(const entry&)>& read);

/// A file of the policy, at most `size_max` bytes; E0501 when it cannot be read.
[[nodiscard]] std::optional<std::string> read_file(const node& n, context& ctx, std::size_t size_max);

/// `path` as seen from the policy file.
[[nodiscard]] std::string resolve_path(std::string_view path, const context& ctx);

}  // namespace weir::config
