// SPDX-License-Identifier: Apache-2.0
#include "proxy/cli/explain_report.hpp"

#include "config/rule_words.hpp"
#include "config/units.hpp"
#include "proxy/cli/paint.hpp"
#include "proxy/http/rate_limit_fields.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

namespace weir::cli {
namespace {

namespace json = boost::json;
using proxy::offline::evaluated_request;
using proxy::offline::explained_rule;
using proxy::offline::explained_value;
using proxy::offline::explanation;
using fate = explained_rule::fate;

std::string wait_in_words(std::int64_t us) {
  if (us < 0) return "never";
  return us == 0 ? "at once" : "in " + config::format_duration(std::chrono::microseconds{us});
}

std::string_view to_string(fate what) {
  switch (what) {
    case fate::counted:
      return "counted";
    case fate::unmatched:
      return "unmatched";
    case fate::skipped:
      return "skipped";
    case fate::refused:
      return "refused";
    case fate::unlimited:
      return "unlimited";
    case fate::disabled:
      return "disabled";
    case fate::not_asked:
      break;
  }
  return "not asked";
}

std::string key_in_words(const explained_rule& x) {
  std::string text;
  for (const explained_value& v : x.key) {
    if (!text.empty()) text += ", ";
    text += v.selector;
    if (v.value) text += "=" + *v.value;
  }
  return x.fallback ? text + " (fallback)" : text;
}

std::string decision_in_words(const evaluated_request& r, const paint& in) {
  const std::string verdict{proxy::to_string(r.verdict)};
  if (r.forwarded()) {
    return fmt::format("{}: forwarded to {}", in.good(verdict), r.attributes.upstream);
  }
  std::string text = fmt::format("{}: {} {}", in.bad(verdict), r.status, r.reason);
  if (r.verdict == proxy::record_decision::deny && r.rule() != nullptr)
    text += " by " + in.strong(r.rule()->name);
  return text;
}

/// Lines of `name  value`.
class lines {
 public:
  explicit lines(const paint& in) : in_(in) {}
  void add(std::string_view name, std::string_view value) {
    text += fmt::format("{}{}\n", in_.faint(fmt::format("{:<10}", name)), value);
  }
  std::string text;

 private:
  const paint& in_;
};

std::string rule_lines(const explained_rule& x, std::size_t width, const paint& in) {
  const std::string name = fmt::format("  {:<{}}  ", x.rule->name, width);
  if (x.what == fate::unmatched || x.what == fate::not_asked || x.what == fate::disabled)
    return in.faint(fmt::format("{}{:<9}  {}", name, to_string(x.what), x.why)) + "\n";
  const std::string what = fmt::format("{:<9}", to_string(x.what));
  if (x.what != fate::counted)
    return fmt::format("{}{}  {}\n", name, x.what == fate::refused ? in.bad(what) : what, x.why);
  const bool allowed = !x.state || x.state->allowed;
  std::string text = fmt::format(
      "{}{}  ", name, allowed ? in.good("allows   ") : in.bad(x.shadow ? "shadow   " : "denies   "));
  if (x.state) {
    text += fmt::format("{} left", x.state->remaining);
    if (!allowed)
      text += (x.shadow ? ", would deny; admitted " : ", admitted ") + wait_in_words(x.state->retry_after_us);
    text += "; ";
  }
  const std::string indent(width + 15, ' ');
  text += fmt::format("costs {} ({})\n{}key {}\n", x.cost, x.cost_from, indent, key_in_words(x));
  text += in.faint(fmt::format("{}in the store {}\n", indent, x.subject));
  const std::string words = x.rule->slots ? config::slots_in_words(*x.rule) : config::quota_in_words(x.quota);
  return text + in.faint(indent + words) + "\n";
}

std::string rules_text(const explanation& e, const paint& in) {
  std::size_t width = 0;
  for (const explained_rule& x : e.rules) width = std::max(width, x.rule->name.size());
  std::string text;
  for (const explained_rule& x : e.rules) text += rule_lines(x, width, in);
  return text;
}

void add_identity(lines& out, const evaluated_request& r, const explanation& e) {
  const auto& a = r.attributes;
  const bool grouped = r.client_group != r.client_ip;
  out.add("client",
          fmt::format("{}{}{}", r.client_ip, grouped ? ", counted as " : "", grouped ? r.client_group : ""));
  for (const auto& hop : e.chain) out.add("", fmt::format("{}  {}", hop.text, hop.verdict));
  out.add("user", e.user ? fmt::format("{} from {}", *e.user, e.user_from) : "none");
  if (!e.token.empty()) out.add("token", "does not count: " + e.token);
  out.add("tier", a.tier ? fmt::format("{} from {}", *a.tier, e.tier_from) : "none");
  out.add("path", a.path);
  out.add("route", r.route ? fmt::format("{}, to upstream {}", a.route, a.upstream) : "_none");
  if (!e.listed.empty()) out.add("list", fmt::format("{}: {}", e.listed, r.listed->reason));
}

// ---- JSON

json::object rule_object(const explained_rule& x) {
  json::object o{{"name", x.rule->name}, {"fate", to_string(x.what)}};
  if (!x.why.empty()) o["why"] = x.why;
  json::array key;
  for (const explained_value& v : x.key) {
    key.push_back(
        json::object{{"selector", v.selector}, {"value", v.value ? json::value(*v.value) : nullptr}});
  }
  if (!key.empty()) o["key"] = std::move(key);
  if (x.what != fate::counted) return o;
  o["fallback"] = x.fallback;
  o["subject"] = x.subject;
  o["cost"] = x.cost;
  o["shadow"] = x.shadow;
  o["cost_from"] = x.cost_from;
  if (!x.state) return o;
  o["allowed"] = x.state->allowed;
  o["remaining"] = x.state->remaining;
  o["retry_after_us"] = x.state->retry_after_us;
  o["reset_after_us"] = x.state->reset_after_us;
  return o;
}

json::value or_null(const std::optional<std::string_view>& text) {
  return text ? json::value(*text) : json::value(nullptr);
}

}  // namespace

std::string explain_text(const evaluated_request& r, bool live, bool color) {
  const paint in{color};
  const explanation e = proxy::offline::explain(r);
  lines out{in};
  const std::string_view head = r.raw_head();
  out.text = in.strong(head.substr(0, head.find(" HTTP/1.1\r\n"))) + "\n";
  if (!r.attributes.method.empty()) add_identity(out, r, e);
  out.text += "\n" + rules_text(e, in);
  if (!e.rules.empty()) {
    out.text += in.faint(live ? "  as the store says now; nothing was counted\n"
                              : "  as in an unused store, behind this request\n");
    out.text += "\n";
  }
  out.add("decision", decision_in_words(r, in));
  if (r.verdict == proxy::record_decision::deny && r.result.verdict == limiter::verdict::deny)
    out.add("", "admitted " + wait_in_words(r.retry_after_us()));
  for (std::string_view rest = e.fields; !rest.empty();) {
    const auto end = rest.find("\r\n");
    out.add("", rest.substr(0, end));
    rest.remove_prefix(end + 2);
  }
  return out.text;
}

std::string explain_json(const evaluated_request& r) {
  const explanation e = proxy::offline::explain(r);
  const auto& a = r.attributes;
  json::array chain, rules;
  for (const auto& hop : e.chain)
    chain.push_back(json::object{{"address", hop.text}, {"verdict", hop.verdict}});
  for (const explained_rule& x : e.rules) rules.push_back(rule_object(x));
  const auto* rule = r.rule();
  json::object o{{"method", a.method},
                 {"path", a.path},
                 {"host", a.host},
                 {"client_ip", r.client_ip},
                 {"client_group", r.client_group},
                 {"chain", std::move(chain)},
                 {"user", or_null(e.user)},
                 {"tier", or_null(a.tier)},
                 {"route", a.route},
                 {"upstream", a.upstream},
                 {"decision", proxy::to_string(r.verdict)},
                 {"status", r.status},
                 {"reason", r.reason},
                 {"rule", rule != nullptr ? json::value(rule->name) : nullptr},
                 {"remaining", r.remaining()},
                 {"retry_after_us", r.verdict == proxy::record_decision::deny ? r.retry_after_us() : 0},
                 {"rules", std::move(rules)},
                 {"fields", e.fields}};
  return json::serialize(o) + "\n";
}

}  // namespace weir::cli
