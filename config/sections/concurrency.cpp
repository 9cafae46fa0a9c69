// SPDX-License-Identifier: Apache-2.0
// Limits on requests at the same time.
#include "config/sections/rule_quotas.hpp"
#include "config/sections/sections.hpp"

#include <array>

namespace weir::config {
namespace {

using limiter::failure_mode;
using limiter::on_missing;
using std::chrono::milliseconds;
using d = concurrency_draft;

value_type<d> scope_type() {
  return {"word", "`shared` `local`", [](d& out, const node& n, context& ctx) {
            constexpr std::array<std::string_view, 2> words{"shared", "local"};
            if (const auto index = read_word(n, ctx, words)) out.slots.this_process = *index == 1;
          }};
}

value_type<d> status_type() {
  return {"integer", "429 or 503", [](d& out, const node& n, context& ctx) {
            const auto status = read_integer(n, ctx, 400, 599);
            if (!status) return;
            out.slots.status = static_cast<int>(*status);
            if (*status == 429 || *status == 503) return;
            ctx.report.error("E0204", n.at, fmt::format("status {}", *status),
                             {"429 (the client's own limit) or 503 (the limit of all)", ""});
          }};
}

const table<d>& concurrency_table() {
  static const table<d> all = [] {
    auto match = row("match", "everything",
                     value_type<d>{"map", "",
                                   [](d& out, const node& n, context& ctx) {
                                     read_map(n, rule_match_table(), out.match, ctx, "`match`");
                                   }},
                     "which requests it counts, as in a rule");
    match.below = [](const std::string& path, std::vector<key_doc>& out) {
      describe(rule_match_table(), path, out);
    };
    return table<d>{
        "a concurrency limit",
        {row("name", required,
             value_type<d>{"name", "",
                           [](d& out, const node& n, context& ctx) {
                             out.name_at = n.at;
                             if (auto name = read_name(n, ctx)) out.value.name = std::move(*name);
                           }},
             "metric label and log field"),
         std::move(match),
         row("key", required,
             value_type<d>{"list of selectors", "1–8",
                           [](d& out, const node& n, context& ctx) {
                             out.key_at = n.at;
                             read_selectors(out.value.key, n, ctx);
                           }},
             "requests with the same values share the slots"),
         row("missing", "",
             word(&d::missing, choices_of<std::optional<on_missing>>{{"skip", on_missing::skip},
                                                                     {"deny", on_missing::deny},
                                                                     {"fallback", on_missing::fallback}}),
             "as in a rule; `fallback` counts by client_ip"),
         row("max", required, integer(&d::max, 1, 100000), "slots: requests at the same time"),
         row("tiers", "",
             value_type<d>{"map of tier: integer", "up to 64; 1–100000 or `unlimited`",
                           [](d& out, const node& n, context& ctx) {
                             read_tiers(n, ctx, [&](reference tier, const node& value) {
                               std::optional<std::int64_t> max;
                               const bool unlimited =
                                   value.kind == node_kind::scalar && value.text == "unlimited";
                               if (!unlimited) max = read_integer(value, ctx, 1, 100000);
                               if (unlimited || max) out.tiers.emplace_back(std::move(tier), max);
                             });
                           }},
             "instead of `max` for requests of the tier"),
         row("queue", "0",
             value_type<d>{"integer", "0–100000",
                           [](d& out, const node& n, context& ctx) {
                             if (const auto size = read_integer(n, ctx, 0, 100000))
                               out.slots.queue = static_cast<std::uint32_t>(*size);
                           }},
             "requests that may wait for a slot, first come first served, per key and process"),
         row("queue_timeout", "200ms", duration(&d::queue_timeout, milliseconds{1}, milliseconds{60'000}),
             "longest wait"),
         row("lease", "30s", duration(&d::lease, milliseconds{100}, milliseconds{3'600'000}),
             "a slot of a process that died is free after it; renewed every third"),
         row("scope", "shared", scope_type(), "slots of all processes at one store, or of this process"),
         row("status", "503", status_type(), "of the answer to a request without a slot"),
         row("failure_mode", "`store.failure_mode`",
             word(&d::failure_mode,
                  choices_of<std::optional<failure_mode>>{{"allow", failure_mode::allow},
                                                          {"deny", failure_mode::deny},
                                                          {"local", failure_mode::local}}))}};
  }();
  return all;
}

void read_concurrency(file_draft& out, const node& n, context& ctx) {
  read_list(n, ctx, 0, 64, single::refused, [&](const node& item) {
    concurrency_draft draft;
    draft.at = item.at;
    if (read_map(item, concurrency_table(), draft, ctx, name_of(item, "concurrency limit")))
      out.concurrency.push_back(std::move(draft));
  });
}

}  // namespace

std::vector<key_row<file_draft>> concurrency_rows() {
  auto rows = row("concurrency", "[]", value_type<file_draft>{"list of maps", "up to 64", read_concurrency},
                  "limits on requests at the same time; every one that matches applies");
  rows.below = [](const std::string& path, std::vector<key_doc>& out) {
    describe(concurrency_table(), path + "[]", out);
  };
  return {std::move(rows)};
}

}  // namespace weir::config
