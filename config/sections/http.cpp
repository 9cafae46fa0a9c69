// SPDX-License-Identifier: Apache-2.0
// paths, http, forwarded
#include "config/sections/sections.hpp"

namespace weir::config {
namespace {

const table<proxy::path_settings>& paths_table() {
  using s = proxy::path_settings;
  static const table<s> all{
      "`paths`",
      {
          row("case", "sensitive",
              word(&s::ignore_case, choices_of<bool>{{"sensitive", false}, {"insensitive", true}}),
              "of templates; what is forwarded keeps its case"),
          row("params", "strip",
              word(&s::refuse_parameters, choices_of<bool>{{"strip", false}, {"reject", true}}),
              "`;parameters` of a segment are removed, or 400"),
      }};
  return all;
}

void read_allowed_methods(proxy::http_settings& out, const node& n, context& ctx) {
  out.methods.clear();
  read_list(n, ctx, 1, 64, single::refused, [&](const node& item) {
    if (auto method = read_method(item, ctx)) out.methods.push_back(std::move(*method));
  });
}

void read_discarded(proxy::http_settings& out, const node& n, context& ctx) {
  out.discard.clear();
  read_list(n, ctx, 0, 64, single::refused, [&](const node& item) {
    if (auto name = read_field_name(item, ctx)) out.discard.push_back(std::move(*name));
  });
}

const table<proxy::http_settings>& http_table() {
  using s = proxy::http_settings;
  using proxy::underscore_mode;
  static const table<s> all{
      "`http`",
      {
          row("underscore", "drop",
              word(&s::underscore, choices_of<underscore_mode>{{"drop", underscore_mode::drop},
                                                               {"reject", underscore_mode::reject},
                                                               {"allow", underscore_mode::allow}}),
              "fields with `_` in their name; aliases of names weir uses are dropped in any case"),
          row("client_half_close", "cancel",
              word(&s::tolerate_half_close, choices_of<bool>{{"cancel", false}, {"tolerate", true}}),
              "a client that ends its side before the response has left, or waits for it"),
          row("methods", "every", value_type<s>{"list of methods", "1–64, upper case", read_allowed_methods},
              "others are 405"),
          row("discard", "X-Real-IP and the like",
              value_type<s>{"list of field names", "up to 64", read_discarded},
              "client-address fields, removed unless a trusted proxy sent them"),
      }};
  return all;
}

}  // namespace

std::vector<key_row<file_draft>> http_rows() {
  using d = file_draft;
  using proxy::forwarded_mode;
  const auto forwarded =
      word(&proxy::settings::forwarded, choices_of<forwarded_mode>{{"x", forwarded_mode::x},
                                                                   {"rfc7239", forwarded_mode::rfc7239},
                                                                   {"both", forwarded_mode::both}});
  return {
      group<d, proxy::path_settings>(
          "paths", [](d & out) -> auto& { return out.settings.paths; }, paths_table),
      group<d, proxy::http_settings>(
          "http", [](d & out) -> auto& { return out.settings.http; }, http_table),
      row("forwarded", "x",
          value_type<d>{
              forwarded.type, forwarded.range,
              [read = forwarded.read](d& out, const node& n, context& ctx) { read(out.settings, n, ctx); }},
          "tell upstreams of the client by X-Forwarded-*, by Forwarded, or by both"),
  };
}

}  // namespace weir::config
