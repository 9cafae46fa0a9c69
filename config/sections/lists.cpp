// SPDX-License-Identifier: Apache-2.0
// block, exempt
#include "config/sections/sections.hpp"

#include <algorithm>

namespace weir::config {
namespace {

using d = list_draft;

constexpr std::size_t list_file_max = std::size_t{64} * 1024 * 1024;

void read_reason(d& out, const node& n, context& ctx) {
  const auto text = read_text(n, ctx);
  if (!text) return;
  const bool printable = std::none_of(
      text->begin(), text->end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  if (text->empty() || text->size() > 64 || !printable) {
    ctx.report.error("E0204", n.at, "a reason has 1 to 64 printable bytes");
    return;
  }
  out.value.reason = *text;
}

std::vector<key_row<d>> list_item_rows() {
  auto match = row("match", "",
                   value_type<d>{"map", "",
                                 [](d& out, const node& n, context& ctx) {
                                   out.match_at = n.at;
                                   read_map(n, rule_match_table(), out.match, ctx, "`match`");
                                 }},
                   "as in a rule; this or `file`");
  match.below = [](const std::string& path, std::vector<key_doc>& out) {
    describe(rule_match_table(), path, out);
  };
  return {
      std::move(match),
      row("file", "",
          value_type<d>{"file", "up to 1000000 lines",
                        [](d& out, const node& n, context& ctx) {
                          out.file_at = n.at;
                          out.content = read_file(n, ctx, list_file_max);
                        }},
          "a value a line, networks with `by: client_ip`; read again with the policy"),
      row("by", "",
          value_type<d>{"selector", "",
                        [](d& out, const node& n, context& ctx) {
                          out.by_at = n.at;
                          out.value.by = read_selector(n, ctx);
                        }},
          "whose value is looked up in `file`"),
      row("reason", required, value_type<d>{"text", "1–64 bytes", read_reason}, "for logs and metrics"),
  };
}

const table<d>& exempt_table() {
  static const table<d> all{"an item of `exempt`", list_item_rows()};
  return all;
}

const table<d>& block_table() {
  static const table<d> all = [] {
    auto rows = list_item_rows();
    rows.push_back(
        row("status", "403", value_type<d>{"integer", "400–499", [](d& out, const node& n, context& ctx) {
                                             if (const auto status = read_integer(n, ctx, 400, 499))
                                               out.value.status = static_cast<int>(*status);
                                           }}));
    return table<d>{"an item of `block`", std::move(rows)};
  }();
  return all;
}

key_row<file_draft> list_row(std::string_view name, std::string_view meaning,
                             std::vector<d> file_draft::*list, const table<d>& (*keys)()) {
  auto made = row(name, "[]",
                  value_type<file_draft>{"list of maps", "up to 256",
                                         [=](file_draft& out, const node& n, context& ctx) {
                                           read_list(n, ctx, 0, 256, single::refused, [&](const node& item) {
                                             d draft;
                                             draft.at = item.at;
                                             if (read_map(item, keys(), draft, ctx, keys().what))
                                               (out.*list).push_back(std::move(draft));
                                           });
                                         }},
                  meaning);
  made.below = [keys](const std::string& path, std::vector<key_doc>& out) {
    describe(keys(), path + "[]", out);
  };
  return made;
}

}  // namespace

std::vector<key_row<file_draft>> list_rows() {
  return {
      list_row("block", "requests that are refused before anything else, and charged nothing",
               &file_draft::block, block_table),
      list_row("exempt", "requests that nothing counts", &file_draft::exempt, exempt_table),
  };
}

}  // namespace weir::config
