// SPDX-License-Identifier: Apache-2.0
// tests: what `weir test` sends and expects
#include "config/addresses.hpp"
#include "config/sections/sections.hpp"

#include <algorithm>
#include <array>

namespace weir::config {
namespace {

using proxy::offline::bound;
using proxy::offline::comparison;
using proxy::offline::expectation;
using proxy::offline::given_identity;
using proxy::offline::policy_test;
using proxy::offline::sending;
using proxy::offline::stated_response;
using text_pairs = std::vector<std::pair<std::string, std::string>>;

/// A duration of the virtual clock, to the microsecond.
void read_time(std::int64_t& out, const node& n, context& ctx) {
  if (const auto time = read_unit(n, ctx, "E0203", parse_duration)) out = time->count();
}

/// Text that stands in a request as it is: no control characters.
std::optional<std::string> read_line(const node& n, context& ctx) {
  const auto text = read_text(n, ctx);
  if (!text) return std::nullopt;
  const bool printable = std::none_of(
      text->begin(), text->end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  if (!text->empty() && text->size() <= 4096 && printable) return std::string{*text};
  ctx.report.error("E0204", n.at, fmt::format("{} is no line of text", shown(n)),
                   {"1 to 4096 bytes without control characters", ""});
  return std::nullopt;
}

/// `{NAME: text}`; `read_name` makes a name of a key.
template <class ReadName>
void read_pairs(text_pairs& out, const node& n, context& ctx, ReadName read_name) {
  read_entries(n, ctx, "a map of names and values", "{NAME: value}", [&](const entry& e) {
    const auto value = read_line(e.value, ctx);
    const std::optional<std::string> name = read_name(e);
    if (!name) {
      ctx.report.error("E0213", e.at, fmt::format("{} is no name", in_ticks(e.key)));
    } else if (value) {
      out.emplace_back(*name, *value);
    }
  });
}

std::optional<std::string> field_name(const entry& e) {
  return is_token(e.key) ? std::optional{e.key} : std::nullopt;
}

template <class T>
value_type<T> pairs_of(text_pairs T::*member, std::optional<std::string> (*read_name)(const entry&)) {
  return {"map NAME: text", "",
          [=](T& out, const node& n, context& ctx) { read_pairs(out.*member, n, ctx, read_name); }};
}

template <class T>
value_type<T> time_of(std::int64_t T::*member) {
  return {"duration", "0s–3650d",
          [=](T& out, const node& n, context& ctx) { read_time(out.*member, n, ctx); }};
}

template <class T>
value_type<T> line_of(std::string type, std::string T::*member) {
  return {std::move(type), "", [=](T& out, const node& n, context& ctx) {
            if (auto text = read_line(n, ctx)) out.*member = std::move(*text);
          }};
}

template <class T>
value_type<T> line_of(std::string type, std::optional<std::string> T::*member) {
  return {std::move(type), "", [=](T& out, const node& n, context& ctx) { out.*member = read_line(n, ctx); }};
}

// ---- given

/// A row that fills `part` alone.
template <class Part>
key_row<test_draft> row_of(Part policy_test::*part, std::string_view name, const value_type<Part>& value,
                           std::string_view meaning) {
  return row(name, "",
             value_type<test_draft>{value.type, value.range,
                                    [part, read = value.read](test_draft& out, const node& n, context& ctx) {
                                      read(out.value.*part, n, ctx);
                                    }},
             meaning);
}

void read_start(test_draft& out, const node& n, context& ctx) {
  if (const auto at = read_unit(n, ctx, "E0216", parse_instant)) out.value.at_us = *at;
}

const table<test_draft>& given_table() {
  using g = given_identity;
  constexpr auto given = &policy_test::given;
  static const table<test_draft> all{
      "`given`",
      {row_of(given, "user", line_of<g>("text", &g::user), "instead of what `identity.user` would find"),
       row_of(given, "tier", line_of<g>("text", &g::tier), "instead of what `identity.tier` would find"),
       row_of(given, "claims", pairs_of(&g::claims, [](const entry& e) { return std::optional{e.key}; }),
              "of a token that is valid"),
       row("at", "2026-01-01T00:00:00Z", value_type<test_draft>{"time", "", read_start},
           "when the test begins, on a clock of its own")}};
  return all;
}

// ---- send

const table<stated_response>& respond_table() {
  using s = stated_response;
  static const table<s> all{
      "`respond`",
      {row("status", "200", integer(&s::status, 200, 599), "what the upstream answers"),
       row("headers", "{}", pairs_of(&s::headers, field_name)),
       row("body", "",
           value_type<s>{"text", "",
                         [](s& out, const node& n, context& ctx) {
                           if (const auto text = read_text(n, ctx)) out.body = *text;
                         }}),
       row("after", "0s", time_of(&s::after_us), "and how long after the request reached it")}};
  return all;
}

value_type<sending> client_type() {
  return {"client address", "", [](sending& out, const node& n, context& ctx) {
            const auto text = read_text(n, ctx);
            if (!text) return;
            if (const auto address = identity::parse_address(*text)) {
              out.client = *address;
            } else {
              ctx.report.error("E0209", n.at, fmt::format("{} is no address", shown(n)),
                               {"such as `203.0.113.9`, without port", ""});
            }
          }};
}

value_type<sending> target_type() {
  return {
      "path", "", [](sending& out, const node& n, context& ctx) {
        auto text = read_line(n, ctx);
        if (!text) return;
        if (!text->starts_with('/') && *text != "*") {
          ctx.report.error("E0213", n.at, fmt::format("{} is no path", shown(n)), {"it begins with `/`", ""});
          return;
        }
        out.target = std::move(*text);
      }};
}

const table<sending>& send_table() {
  using s = sending;
  static const table<s> all{
      "`send`",
      {row("method", "GET",
           value_type<s>{"method", "upper case",
                         [](s& out, const node& n, context& ctx) {
                           if (auto method = read_method(n, ctx)) out.method = std::move(*method);
                         }}),
       row("path", "/", target_type(), "as on the request line, with its query"),
       row("host", "localhost", line_of<s>("host", &s::host)),
       row("headers", "{}", pairs_of(&s::headers, field_name)),
       row("client_ip", "127.0.0.1", client_type(), "who connects; a trusted proxy's client is in `headers`"),
       row("times", "1", integer(&s::times, 1, proxy::offline::requests_per_item_max),
           "so many equal requests"),
       row("over", "0s", time_of(&s::over_us), "spread evenly: the first at once, the last at its end"),
       row("wait", "0s", time_of(&s::wait_us), "before the first, since the item before"),
       group<s, stated_response>(
           "respond", [](s& out) -> stated_response& { return out.respond; }, respond_table)}};
  return all;
}

void read_send(test_draft& out, const node& n, context& ctx) {
  const auto read = [&](const node& item) {
    sending one;
    if (read_map(item, send_table(), one, ctx, "`send`")) out.value.send.push_back(std::move(one));
  };
  if (n.kind == node_kind::map) return read(n);
  read_list(n, ctx, 1, proxy::offline::items_per_test_max, single::refused, read);
}

// ---- expect

/// Takes a comparison off the front of `text`.
comparison take_comparison(std::string_view& text) {
  constexpr std::array<std::pair<std::string_view, comparison>, 4> signs{{{"<=", comparison::at_most},
                                                                          {">=", comparison::at_least},
                                                                          {"<", comparison::less},
                                                                          {">", comparison::more}}};
  for (const auto& [sign, meant] : signs) {
    if (!text.starts_with(sign)) continue;
    text.remove_prefix(sign.size());
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    return meant;
  }
  return comparison::equal;
}

std::optional<bound> read_bound(const node& n, context& ctx) {
  auto text = read_text(n, ctx);
  if (!text) return std::nullopt;
  const comparison how = take_comparison(*text);
  const auto number = parse_integer(*text);
  if (number.value) return bound{how, *number.value};
  ctx.report.error("E0205", n.at, fmt::format("{}, found {}", number.message, shown(n)),
                   {"a number, or one behind `<` `<=` `>` `>=`", ""});
  return std::nullopt;
}

std::optional<bound> read_seconds(const node& n, context& ctx) {
  auto text = read_text(n, ctx);
  if (!text) return std::nullopt;
  const comparison how = take_comparison(*text);
  const auto time = parse_duration(*text);
  if (time.value && time.value->count() % 1'000'000 == 0) return bound{how, time.value->count() / 1'000'000};
  ctx.report.error("E0203", n.at,
                   time.value ? fmt::format("{} is no whole number of seconds", shown(n))
                              : fmt::format("{}, found {}", time.message, shown(n)),
                   {"a client is told whole seconds, rounded up, such as `5s` or `\"<=5s\"`", ""});
  return std::nullopt;
}

template <class T>
value_type<T> bound_of(std::optional<bound> T::*member) {
  return {"integer bound", "",
          [=](T& out, const node& n, context& ctx) { out.*member = read_bound(n, ctx); }};
}

value_type<test_draft> named_rule(std::optional<std::string> expectation::*member) {
  return {"name", "", [=](test_draft& out, const node& n, context& ctx) {
            auto name = read_name(n, ctx);
            if (!name) return;
            out.rules.push_back({*name, n.at});
            out.value.expect.*member = std::move(*name);
          }};
}

void read_remaining(test_draft& out, const node& n, context& ctx) {
  read_entries(n, ctx, "a map of rules and numbers", "{RULE: number}", [&](const entry& e) {
    const auto number = read_bound(e.value, ctx);
    if (number) out.value.expect.remaining.emplace_back(e.key, *number);
    out.rules.push_back({e.key, e.at});
  });
}

const table<test_draft>& expect_table() {
  using e = expectation;
  static const table<test_draft> all{
      "`expect`",
      {row_of(&policy_test::expect, "allowed", bound_of(&e::allowed), "requests that were let through"),
       row_of(&policy_test::expect, "denied", bound_of(&e::denied), "all others"),
       row("denied_by", "", named_rule(&e::denied_by), "the rule or limit that refused every one of them"),
       row("shadow_denied_by", "", named_rule(&e::shadow_denied_by),
           "the shadow rule that would have refused, of every request that one would have"),
       row_of(&policy_test::expect, "status", bound_of(&e::status), "of the last response"),
       row_of(&policy_test::expect, "retry_after",
              value_type<e>{
                  "duration bound", "",
                  [](e& out, const node& n, context& ctx) { out.retry_after_s = read_seconds(n, ctx); }},
              "of the last request, in whole seconds; 0s = it need not wait"),
       row("remaining", "", value_type<test_draft>{"map RULE: integer bound", "", read_remaining},
           "behind the last request"),
       row_of(&policy_test::expect, "headers",
              pairs_of(&e::headers,
                       [](const entry& line) -> std::optional<std::string> {
                         if (!is_token(line.key)) return std::nullopt;
                         return lower_case(line.key);
                       }),
              "of the last response; `\"*\"` = present")}};
  return all;
}

// ---- tests[]

const table<test_draft>& test_table() {
  using d = test_draft;
  static const table<d> all = [] {
    auto send = row("send", required, value_type<d>{"map or list of maps", "1–64", read_send},
                    "requests, one item after the other");
    send.below = [](const std::string& path, std::vector<key_doc>& out) {
      describe(send_table(), path, out);
    };
    return table<d>{"a test",
                    {row("name", required,
                         value_type<d>{"text", "1–200 bytes",
                                       [](d& out, const node& n, context& ctx) {
                                         out.name_at = n.at;
                                         auto text = read_line(n, ctx);
                                         if (text && text->size() <= 200)
                                           out.value.name = std::move(*text);
                                         else if (text)
                                           ctx.report.error("E0204", n.at,
                                                            "a name of a test has up to 200 bytes");
                                       }},
                         "what it shows, for the report"),
                     group<d, d>(
                         "given", [](d& out) -> d& { return out; }, given_table),
                     std::move(send),
                     group<d, d>(
                         "expect", [](d& out) -> d& { return out; }, expect_table)}};
  }();
  return all;
}

void read_tests(file_draft& out, const node& n, context& ctx) {
  read_list(n, ctx, 0, proxy::offline::tests_max, single::refused, [&](const node& item) {
    test_draft draft;
    draft.value.line = item.at.line;
    draft.at = item.at;
    if (!read_map(item, test_table(), draft, ctx, name_of(item, "test"))) return;
    if (item.find("expect") == nullptr)
      ctx.report.error("E0302", item.at, "a test without `expect` shows nothing",
                       {"say what must come of it", ""});
    out.tests.push_back(std::move(draft));
  });
}

}  // namespace

std::vector<key_row<file_draft>> test_rows() {
  auto rows = row("tests", "[]", value_type<file_draft>{"list of maps", "up to 1000", read_tests},
                  "what `weir test` sends and expects; each begins with an empty store");
  rows.below = [](const std::string& path, std::vector<key_doc>& out) {
    describe(test_table(), path + "[]", out);
  };
  return {std::move(rows)};
}

}  // namespace weir::config
