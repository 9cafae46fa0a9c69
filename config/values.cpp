// SPDX-License-Identifier: Apache-2.0
#include "config/values.hpp"

#include "config/did_you_mean.hpp"
#include "config/source_text.hpp"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>

namespace weir::config {
namespace {

std::string_view kind_name(node_kind kind) {
  switch (kind) {
    case node_kind::null:
      return "nothing";
    case node_kind::scalar:
      return "a value";
    case node_kind::list:
      return "a list";
    case node_kind::map:
      break;
  }
  return "a map";
}

void out_of_range(const node& n, context& ctx, const std::string& low, const std::string& high) {
  ctx.report.error("E0204", n.at, fmt::format("{} is out of range", shown(n)),
                   {fmt::format("from {} to {}", low, high), ""});
}

}  // namespace

std::string shown(const node& n) {
  if (n.kind != node_kind::scalar) return std::string{kind_name(n.kind)};
  return n.from_environment ? "a value from the environment" : in_ticks(n.text);
}

std::optional<std::string_view> read_text(const node& n, context& ctx) {
  if (n.unresolved) return std::nullopt;
  if (n.kind == node_kind::scalar) return n.text;
  ctx.report.error("E0301", n.at,
                   n.kind == node_kind::null ? "a key without a value"
                                             : fmt::format("expected a value, found {}", kind_name(n.kind)));
  return std::nullopt;
}

std::optional<std::int64_t> read_integer(const node& n, context& ctx, std::int64_t min, std::int64_t max) {
  const auto value = read_unit(n, ctx, "E0205", parse_integer);
  if (value && (*value < min || *value > max)) {
    out_of_range(n, ctx, std::to_string(min), std::to_string(max));
    return std::nullopt;
  }
  return value;
}

std::optional<bool> read_boolean(const node& n, context& ctx) {
  return read_unit(n, ctx, "E0205", parse_boolean);
}

std::optional<std::chrono::milliseconds> read_duration(const node& n, context& ctx,
                                                       std::chrono::milliseconds min,
                                                       std::chrono::milliseconds max) {
  const auto value = read_unit(n, ctx, "E0203", parse_duration);
  if (!value) return std::nullopt;
  if (*value < min || *value > max) {
    out_of_range(n, ctx, format_duration(min), format_duration(max));
    return std::nullopt;
  }
  if (value->count() % 1000 != 0) {
    ctx.report.error("E0204", n.at, fmt::format("{} is no whole number of milliseconds", shown(n)));
    return std::nullopt;
  }
  return std::chrono::duration_cast<std::chrono::milliseconds>(*value);
}

std::optional<int> read_percent(const node& n, context& ctx, int max) {
  const auto value = read_unit(n, ctx, "E0203", parse_percent);
  if (value && *value > max) {
    out_of_range(n, ctx, "0%", fmt::format("{}%", max));
    return std::nullopt;
  }
  return value;
}

std::optional<std::uint64_t> read_size(const node& n, context& ctx, std::uint64_t min, std::uint64_t max) {
  const auto value = read_unit(n, ctx, "E0203", parse_size);
  if (value && (*value < min || *value > max)) {
    out_of_range(n, ctx, format_size(min), format_size(max));
    return std::nullopt;
  }
  return value;
}

bool is_name(std::string_view text) noexcept {
  const auto letter = [](char c) { return c >= 'a' && c <= 'z'; };
  return !text.empty() && text.size() <= 64 && letter(text.front()) &&
         std::all_of(text.begin(), text.end(),
                     [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '-'; });
}

std::optional<std::string> read_name(const node& n, context& ctx) {
  const auto text = read_text(n, ctx);
  if (!text) return std::nullopt;
  if (!is_name(*text)) {
    ctx.report.error("E0211", n.at, fmt::format("{} is no name", shown(n)),
                     {"a name is a lower-case letter, then up to 63 of a-z 0-9 -", ""});
    return std::nullopt;
  }
  return std::string{*text};
}

bool is_token(std::string_view text) noexcept {
  constexpr std::string_view special = "!#$%&'*+-.^_`|~";
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           special.find(c) != std::string_view::npos;
  });
}

void read_status(limiter::counted_statuses& out, const node& n, context& ctx) {
  const auto text = read_text(n, ctx);
  if (!text) return;
  if (text->size() == 3 && text->ends_with("xx") && (*text)[0] >= '1' && (*text)[0] <= '5') {
    out.classes[static_cast<std::size_t>((*text)[0] - '0')] = true;
  } else if (const auto code = read_integer(n, ctx, 100, 599)) {
    out.codes.push_back(static_cast<int>(*code));
  }
}

std::optional<std::string> read_method(const node& n, context& ctx) {
  const auto text = read_text(n, ctx);
  if (!text) return std::nullopt;
  const bool lower = std::any_of(text->begin(), text->end(), [](char c) { return c >= 'a' && c <= 'z'; });
  if (is_token(*text) && !lower) return std::string{*text};
  ctx.report.error("E0213", n.at, fmt::format("{} is no method", shown(n)),
                   {"methods are upper case, such as `GET`", ""});
  return std::nullopt;
}

std::string name_of(const node& n, std::string_view what) {
  const auto* name = n.find("name");
  if (name == nullptr || name->value.kind != node_kind::scalar) return fmt::format("a {}", what);
  return fmt::format("{} {}", what, shown(name->value));
}

std::string lower_case(std::string_view text) {
  std::string out{text};
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

std::optional<std::size_t> read_word(const node& n, context& ctx, std::span<const std::string_view> words) {
  const auto text = read_text(n, ctx);
  if (!text) return std::nullopt;
  const auto found = std::find(words.begin(), words.end(), *text);
  if (found != words.end()) return static_cast<std::size_t>(found - words.begin());
  ctx.report.error("E0206", n.at, fmt::format("{} is none of the choices", shown(n)),
                   {did_you_mean_hint(*text, words), fmt::format("choices: {}", fmt::join(words, " "))});
  return std::nullopt;
}

void read_entries(const node& n, context& ctx, std::string_view expected, std::string_view form,
                  const std::function<void(const entry&)>& read) {
  if (n.unresolved) return;
  if (n.kind != node_kind::map) {
    ctx.report.error("E0301", n.at, fmt::format("expected {}", expected), {std::string(form), ""});
    return;
  }
  for (const entry& e : n.entries) {
    const reporter::scope scope{ctx.report, e.key};
    read(e);
  }
}

void read_list(const node& n, context& ctx, std::size_t min, std::size_t max, single one,
               const std::function<void(const node&)>& read) {
  if (n.unresolved) return;
  if (n.kind == node_kind::scalar && one == single::accepted) return read(n);
  if (n.kind != node_kind::list) {
    ctx.report.error("E0301", n.at, fmt::format("expected a list, found {}", kind_name(n.kind)),
                     {n.kind == node_kind::scalar && n.plain && !n.from_environment
                          ? fmt::format("write `[{}]`", n.text.substr(0, 64))
                          : "",
                      ""});
    return;
  }
  if (n.items.size() < min || n.items.size() > max) {
    ctx.report.error("E0303", n.at, fmt::format("a list of {} items", n.items.size()),
                     {fmt::format("from {} to {} items", min, max), ""});
    return;
  }
  for (std::size_t i = 0; i < n.items.size(); ++i) {
    const reporter::scope scope{ctx.report, fmt::format("[{}]", i)};
    read(n.items[i]);
  }
}

std::string resolve_path(std::string_view path, const context& ctx) {
  return (std::filesystem::path{ctx.directory} / std::filesystem::path{path}).string();
}

std::optional<std::string> read_file(const node& n, context& ctx, std::size_t size_max) {
  const auto text = read_text(n, ctx);
  if (!text) return std::nullopt;
  const auto path = resolve_path(*text, ctx);
  auto source = read_source(path, size_max, ctx.files);
  if (!source.text) {
    ctx.report.error("E0501", n.at, fmt::format("cannot read {}: {}", in_ticks(path), source.problem));
  } else if (source.text->size() > size_max) {
    ctx.report.error("E0502", n.at,
                     fmt::format("{} is larger than {}", in_ticks(path), format_size(size_max)));
    return std::nullopt;
  }
  return std::move(source.text);
}

}  // namespace weir::config
