// SPDX-License-Identifier: Apache-2.0
// A section of the policy file as a table: one row per key. The rows drive reading, suggestions for unknown
// keys, the key reference, the JSON Schema and the order of keys in the canonical layout.
#pragma once

#include "config/did_you_mean.hpp"
#include "config/values.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::config {

/// A row of the key reference.
struct key_doc {
  std::string path;  ///< "upstreams.NAME.pool.size"
  std::string type;
  std::string default_text;
  std::string range;  ///< may be empty
  std::string meaning;
};

/// How a value is written and how it gets into `T`.
template <class T>
struct value_type {
  std::string type;   ///< "duration": one of the forms that schema/value_forms.hpp knows
  std::string range;  ///< "0s–5m"; may be empty
  std::function<void(T&, const node&, context&)> read;
};

inline constexpr std::string_view required = "required";

template <class T>
struct key_row {
  std::string_view name;
  std::string_view default_text;  ///< `required`, or what an absent key means; empty: nothing
  value_type<T> value;            ///< type empty: only a group of keys, no row of its own in the reference
  std::string_view meaning;
  /// Appends the reference of the keys below; null when there are none.
  std::function<void(const std::string& path, std::vector<key_doc>&)> below;
};

template <class T>
struct table {
  std::string_view what;  ///< "a rule": whose keys these are
  std::vector<key_row<T>> rows;

  [[nodiscard]] std::vector<std::string_view> names() const {
    std::vector<std::string_view> all;
    all.reserve(rows.size());
    for (const auto& row : rows) all.push_back(row.name);
    return all;
  }
};

template <class T>
void refuse_unknown_key(const entry& e, const table<T>& keys, context& ctx, std::string_view where) {
  const auto names = keys.names();
  ctx.report.error(
      "E0312", e.at, fmt::format("unknown key {} in {}", in_ticks(e.key), where),
      {did_you_mean_hint(e.key, names), fmt::format("keys of {}: {}", keys.what, fmt::join(names, " "))});
}

/// Reads a map by its table; `where` names it in messages ("rule `per-ip`"). False when it is no map.
template <class T>
bool read_map(const node& n, const table<T>& keys, T& out, context& ctx, std::string_view where) {
  if (n.unresolved) return false;
  if (n.kind != node_kind::map) {
    ctx.report.error("E0301", n.at, fmt::format("{} must be a map", where),
                     {"", fmt::format("keys of {}: {}", keys.what, fmt::join(keys.names(), " "))});
    return false;
  }
  for (const auto& e : n.entries) {
    const reporter::scope scope{ctx.report, e.key};
    const auto row =
        std::find_if(keys.rows.begin(), keys.rows.end(), [&](const auto& r) { return r.name == e.key; });
    if (row == keys.rows.end()) {
      refuse_unknown_key(e, keys, ctx, where);
    } else {
      row->value.read(out, e.value, ctx);
    }
  }
  for (const auto& row : keys.rows) {
    if (row.default_text != required || n.find(row.name) != nullptr) continue;
    ctx.report.error("E0302", n.at, fmt::format("{} has no `{}`", where, row.name),
                     {fmt::format("`{}` is required", row.name), ""});
  }
  return true;
}

template <class T>
void describe(const table<T>& keys, const std::string& path, std::vector<key_doc>& out) {
  for (const auto& row : keys.rows) {
    const auto full = path.empty() ? std::string{row.name} : fmt::format("{}.{}", path, row.name);
    if (!row.value.type.empty()) {
      out.push_back(
          {full, row.value.type, std::string{row.default_text}, row.value.range, std::string{row.meaning}});
    }
    if (row.below) row.below(full, out);
  }
}

// ---- Value types
// ---------------------------------------------------------------------------------------------------

template <class T, class U>
value_type<T> text_of(std::string type, std::string range, U T::*member,
                      std::optional<U> (*read)(const node&, context&)) {
  return {std::move(type), std::move(range), [=](T& out, const node& n, context& ctx) {
            if (auto value = read(n, ctx)) out.*member = std::move(*value);
          }};
}

template <class T, class I>
value_type<T> integer(I T::*member, std::int64_t min, std::int64_t max) {
  return {"integer", fmt::format("{}–{}", min, max), [=](T& out, const node& n, context& ctx) {
            if (const auto value = read_integer(n, ctx, min, max)) out.*member = static_cast<I>(*value);
          }};
}

/// An integer or `auto`, which stores `automatic`.
template <class T, class I>
value_type<T> integer_or_auto(I T::*member, std::int64_t min, std::int64_t max, I automatic) {
  return {"integer or `auto`", fmt::format("{}–{}", min, max), [=](T& out, const node& n, context& ctx) {
            if (n.kind == node_kind::scalar && n.text == "auto") {
              out.*member = automatic;
            } else if (const auto value = read_integer(n, ctx, min, max)) {
              out.*member = static_cast<I>(*value);
            }
          }};
}

template <class T>
value_type<T> boolean(bool T::*member) {
  return {"boolean", "", [=](T& out, const node& n, context& ctx) {
            if (const auto value = read_boolean(n, ctx)) out.*member = *value;
          }};
}

template <class T>
value_type<T> duration(std::chrono::milliseconds T::*member, std::chrono::milliseconds min,
                       std::chrono::milliseconds max) {
  return {"duration", fmt::format("{}–{}", format_duration(min), format_duration(max)),
          [=](T& out, const node& n, context& ctx) {
            if (const auto value = read_duration(n, ctx, min, max)) out.*member = *value;
          }};
}

/// 0% to `max` percent.
template <class T>
value_type<T> percent(int T::*member, int max = 100) {
  return {"percent", fmt::format("0%–{}%", max), [=](T& out, const node& n, context& ctx) {
            if (const auto value = read_percent(n, ctx, max)) out.*member = *value;
          }};
}

template <class T, class I>
value_type<T> size(I T::*member, std::uint64_t min, std::uint64_t max) {
  return {"size", fmt::format("{}–{}", format_size(min), format_size(max)),
          [=](T& out, const node& n, context& ctx) {
            if (const auto value = read_size(n, ctx, min, max)) out.*member = static_cast<I>(*value);
          }};
}

/// A size or `word`, which stores `meant`.
template <class T>
value_type<T> size_or(std::uint64_t T::*member, std::uint64_t min, std::uint64_t max, std::string_view word,
                      std::uint64_t meant) {
  return {fmt::format("size or `{}`", word), fmt::format("{}–{}", format_size(min), format_size(max)),
          [=](T& out, const node& n, context& ctx) {
            if (n.kind == node_kind::scalar && n.text == word) {
              out.*member = meant;
            } else if (const auto value = read_size(n, ctx, min, max)) {
              out.*member = *value;
            }
          }};
}

/// A duration or `word`, which stores `meant`.
template <class T>
value_type<T> duration_or(std::chrono::milliseconds T::*member, std::chrono::milliseconds min,
                          std::chrono::milliseconds max, std::string_view word,
                          std::chrono::milliseconds meant) {
  return {fmt::format("duration or `{}`", word),
          fmt::format("{}–{}", format_duration(min), format_duration(max)),
          [=](T& out, const node& n, context& ctx) {
            if (n.kind == node_kind::scalar && n.text == word) {
              out.*member = meant;
            } else if (const auto value = read_duration(n, ctx, min, max)) {
              out.*member = *value;
            }
          }};
}

/// Words, each with the value it stands for.
template <class E>
using choices_of = std::vector<std::pair<std::string_view, E>>;

template <class T, class E>
value_type<T> word(E T::*member, choices_of<E> choices) {
  std::vector<std::string_view> words;
  for (const auto& choice : choices) words.push_back(choice.first);
  auto range = fmt::format("`{}`", fmt::join(words, "` `"));
  return {
      "word", std::move(range),
      [member, words = std::move(words), choices = std::move(choices)](T& out, const node& n, context& ctx) {
        if (const auto index = read_word(n, ctx, words)) out.*member = choices[*index].second;
      }};
}

// ---- Rows
// ----------------------------------------------------------------------------------------------------------

template <class T>
key_row<T> row(std::string_view name, std::string_view default_text, value_type<T> value,
               std::string_view meaning = {}) {
  return {name, default_text, std::move(value), meaning, nullptr};
}

/// A group of keys `name: {...}` read into the part of `T` that `part` picks.
template <class T, class U>
key_row<T> group(std::string_view name, U& (*part)(T&), const table<U>& (*keys)()) {
  return {name,
          {},
          {{},
           {},
           [=](T& out, const node& n, context& ctx) {
             read_map(n, keys(), part(out), ctx, fmt::format("`{}`", name));
           }},
          {},
          [=](const std::string& path, std::vector<key_doc>& out) { describe(keys(), path, out); }};
}

}  // namespace weir::config
