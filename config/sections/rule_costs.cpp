// SPDX-License-Identifier: Apache-2.0
// What a request costs when the file does not say it as a number: cost_from, count, response_cost.
#include "config/sections/rule_costs.hpp"

#include <array>

namespace weir::config {
namespace {

using limiter::response_cost;

constexpr std::int64_t most_units = std::int64_t{1} << 31;

std::optional<std::string> read_field_name(const node& n, context& ctx) {
  const auto text = read_text(n, ctx);
  if (!text) return std::nullopt;
  if (is_token(*text)) return lower_case(*text);
  ctx.report.error("E0213", n.at, fmt::format("{} is no field name", shown(n)));
  return std::nullopt;
}

std::optional<std::string> read_parameter_name(const node& n, context& ctx) {
  const auto text = read_text(n, ctx);
  if (!text) return std::nullopt;
  if (!text->empty()) return std::string{*text};
  ctx.report.error("E0213", n.at, "the name of a query parameter is empty");
  return std::nullopt;
}

/// RFC 6901: reference tokens, each behind a slash; `~` only as `~0` and `~1`.
bool is_json_pointer(std::string_view text) noexcept {
  if (text.empty() || text.front() != '/') return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '~' && (i + 1 == text.size() || (text[i + 1] != '0' && text[i + 1] != '1'))) return false;
  }
  return true;
}

std::optional<std::string> read_json_pointer(const node& n, context& ctx) {
  const auto text = read_text(n, ctx);
  if (!text) return std::nullopt;
  if (is_json_pointer(*text) && text->size() <= 256) return std::string{*text};
  ctx.report.error("E0213", n.at, fmt::format("{} is no JSON pointer", shown(n)),
                   {"like `/usage/total_tokens`, up to 256 characters", ""});
  return std::nullopt;
}

const table<cost_from_draft>& cost_from_table() {
  using d = cost_from_draft;
  static const table<d> all{"`cost_from`",
                            {row("header", "",
                                 value_type<d>{"field name", "",
                                               [](d& out, const node& n, context& ctx) {
                                                 ++out.sources;
                                                 if (auto name = read_field_name(n, ctx))
                                                   out.value.header = *name;
                                               }},
                                 "exactly one of `header` and `query`"),
                             row("query", "",
                                 value_type<d>{"parameter name", "",
                                               [](d& out, const node& n, context& ctx) {
                                                 ++out.sources;
                                                 if (auto name = read_parameter_name(n, ctx))
                                                   out.value.query = *name;
                                               }},
                                 "a request without a value costs `cost`"),
                             row("min", "1",
                                 value_type<d>{"integer", "0–max",
                                               [](d& out, const node& n, context& ctx) {
                                                 out.min = read_integer(n, ctx, 0, most_units);
                                               }},
                                 "smaller values are raised to it"),
                             row("max", required,
                                 value_type<d>{"integer", "1–capacity",
                                               [](d& out, const node& n, context& ctx) {
                                                 out.max_at = n.at;
                                                 out.max = read_integer(n, ctx, 1, most_units);
                                               }},
                                 "larger values, and all that are no plain integer, count as this")}};
  return all;
}

const table<count_draft>& count_table() {
  using d = count_draft;
  static const table<d> all{
      "`count`",
      {row("status", required,
           value_type<d>{"code, class like `4xx`, or list", "100–599",
                         [](d& out, const node& n, context& ctx) {
                           read_list(n, ctx, 1, 64, single::accepted,
                                     [&](const node& item) { read_status(out.value, item, ctx); });
                         }},
           "the cost is taken before, and given back when the response has none of these")}};
  return all;
}

void read_actual(response_cost_draft& out, const node& n, context& ctx);

const table<response_cost_draft>& actual_table() {
  using d = response_cost_draft;
  using source = response_cost::source;
  const auto bytes = [](d& out, const node& n, context& ctx) {
    constexpr std::array<std::string_view, 3> words{"request", "response", "both"};
    constexpr std::array sources{source::request_bytes, source::response_bytes, source::both_bytes};
    ++out.sources;
    if (const auto index = read_word(n, ctx, words)) out.value.actual = sources[*index];
  };
  static const table<d> all{"`actual`",
                            {row("header", "",
                                 value_type<d>{"field name", "",
                                               [](d& out, const node& n, context& ctx) {
                                                 ++out.sources;
                                                 out.value.actual = source::header;
                                                 if (auto name = read_field_name(n, ctx))
                                                   out.value.name = *name;
                                               }},
                                 "a response header that holds an integer"),
                             row("json_pointer", "",
                                 value_type<d>{"text", "up to 256 characters",
                                               [](d& out, const node& n, context& ctx) {
                                                 ++out.sources;
                                                 out.value.actual = source::json_pointer;
                                                 if (auto p = read_json_pointer(n, ctx)) out.value.name = *p;
                                               }},
                                 "an integer in the first 1MiB of a JSON body; in an event stream, of the "
                                 "last `data:` that has it"),
                             row("bytes", "", value_type<d>{"word", "`request` `response` `both`", bytes},
                                 "the size of the bodies; exactly one of the three")}};
  return all;
}

void read_actual(response_cost_draft& out, const node& n, context& ctx) {
  out.actual_at = n.at;
  read_map(n, actual_table(), out, ctx, "`actual`");
}

const table<response_cost_draft>& response_cost_table() {
  using d = response_cost_draft;
  const auto refund_missing = [](d& out, const node& n, context& ctx) {
    constexpr std::array<std::string_view, 2> words{"keep", "refund"};
    if (const auto index = read_word(n, ctx, words)) out.value.refund_missing = *index == 1;
  };
  static const table<d> all = [&] {
    auto actual =
        row("actual", required, value_type<d>{"map", "", read_actual}, "where the real cost is read");
    actual.below = [](const std::string& path, std::vector<key_doc>& out) {
      describe(actual_table(), path, out);
    };
    return table<d>{"`response_cost`",
                    {row("reserve", required,
                         value_type<d>{"integer", "0–max",
                                       [](d& out, const node& n, context& ctx) {
                                         out.reserve_at = n.at;
                                         out.reserve = read_integer(n, ctx, 0, most_units);
                                       }},
                         "units taken before the request is forwarded"),
                     std::move(actual),
                     row("unit", "1B",
                         value_type<d>{"size", "1B–1024GiB",
                                       [](d& out, const node& n, context& ctx) {
                                         constexpr std::uint64_t most = std::uint64_t{1} << 40;
                                         if (const auto size = read_size(n, ctx, 1, most)) {
                                           out.value.unit = static_cast<std::int64_t>(*size);
                                         }
                                       }},
                         "how much of `actual` is one unit; rounded up"),
                     row("max", "capacity",
                         value_type<d>{"integer", "1–capacity",
                                       [](d& out, const node& n, context& ctx) {
                                         out.max_at = n.at;
                                         out.max = read_integer(n, ctx, 1, most_units);
                                       }},
                         "most that one request is charged"),
                     row("on_missing", "keep", value_type<d>{"word", "`keep` `refund`", refund_missing},
                         "no response, cut short, or unreadable: the reserve stays, or is given back")}};
  }();
  return all;
}

template <class Draft>
key_row<rule_draft> map_row(std::string_view name, std::string_view meaning,
                            std::optional<Draft> rule_draft::*member, const table<Draft>& (*keys)()) {
  auto result = row("", "",
                    value_type<rule_draft>{"map", "",
                                           [=](rule_draft& out, const node& n, context& ctx) {
                                             auto& draft = (out.*member).emplace();
                                             draft.at = n.at;
                                             read_map(n, keys(), draft, ctx, fmt::format("`{}`", name));
                                           }},
                    meaning);
  result.name = name;
  result.below = [keys](const std::string& path, std::vector<key_doc>& out) { describe(keys(), path, out); };
  return result;
}

}  // namespace

std::vector<key_row<rule_draft>> rule_cost_rows() {
  return {
      map_row("cost_from", "the client names the cost", &rule_draft::cost_from, cost_from_table),
      map_row("count", "only responses with a listed status stay charged", &rule_draft::count, count_table),
      map_row("response_cost", "the cost is known from the response; not with cost, cost_from or count",
              &rule_draft::response_cost, response_cost_table)};
}

}  // namespace weir::config
