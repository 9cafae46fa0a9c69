// SPDX-License-Identifier: Apache-2.0
#include "proxy/offline/explanation.hpp"

#include "limiter/request_match.hpp"
#include "proxy/decide/identify.hpp"
#include "proxy/decide/identify_user.hpp"
#include "proxy/identity/client_chain.hpp"
#include "proxy/identity/keyed_hash.hpp"
#include "proxy/offline/shown_fields.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace weir::proxy::offline {

namespace {

using fate = explained_rule::fate;
using limiter::match_part;

/// Reads one decided request; views of it live as long as the request.
class explainer {
 public:
  explicit explainer(const evaluated_request& request) : r_(request), s_(*request.policy->settings) {}

  explanation run() {
    explanation e;
    e.fields = shown_fields(r_);
    if (r_.attributes.method.empty()) return e;  // the head was refused
    chain(e);
    identity(e);
    list(e);
    for (const limiter::rule& rule : s_.policy.rules()) e.rules.push_back(explain_rule(rule, r_.match));
    for (const limiter::rule& rule : s_.concurrency.rules()) {
      e.rules.push_back(explain_rule(rule, r_.slot_match));
    }
    return e;
  }

 private:
  // ---- who

  void chain(explanation& e) const {
    const client_ip_settings& c = s_.client_ip;
    const auto lines = c.header.empty() ? client_lines{} : find_client_lines(r_, r_.raw_head());
    const auto syntax =
        c.header == "forwarded" ? identity::chain_syntax::forwarded : identity::chain_syntax::addresses;
    const identity::chain_trust trust{c.trusted_proxies, c.hops};
    const auto steps = identity::client_chain(r_.peer(), {lines.data(), lines.size()}, trust, syntax);
    for (std::size_t i = 0; i < steps.size(); ++i) e.chain.push_back(hop(steps, i));
    if (steps.size() == 1 && !lines.empty()) e.chain.front().verdict += "; " + c.header + " does not count";
  }

  static explained_hop hop(const std::vector<identity::chain_step>& steps, std::size_t i) {
    explained_hop h;
    if (!steps[i].at) return {std::string(steps[i].text), "no address: the walk ends"};
    identity::append_address(h.text, *steps[i].at);
    const bool is_client = i + 1 == steps.size() || !steps[i + 1].at;
    h.verdict = steps[i].trusted ? "trusted" : "not trusted";
    if (is_client) h.verdict += ": the client";
    return h;
  }

  void identity(explanation& e) {
    e.token = identity::to_reason(r_.token_problem);
    if (r_.attributes.user) {
      std::array<char, 16> digits;
      e.user = shown_user(r_, digits);
      e.user_from = user_source_of();
      if (hashed_user_) e.user->insert(0, "#");
    }
    if (r_.attributes.tier) e.tier_from = tier_source_of();
  }

  std::string user_source_of() {
    if (r_.gave_user()) return "given";
    for (const user_source& source : s_.users) {
      if (!limiter::select(source.from, r_.attributes, scratch_)) continue;
      hashed_user_ = source.hash;
      return source.from.text;
    }
    return {};
  }

  std::string tier_source_of() {
    if (r_.gave_tier()) return "given";
    for (const tier_source& source : s_.tiers) {
      if (!source.constant.empty()) return "constant";
      if (source.trusted_only && !r_.peer_trusted) continue;
      const auto value = limiter::select(source.from, r_.attributes, scratch_);
      if (value && (!source.table || source.table->find(*value)))
        return source.table ? "file by " + source.from.text : source.from.text;
    }
    return {};
  }

  void list(explanation& e) const {
    if (r_.listed == nullptr) return;
    const bool blocked = r_.verdict == record_decision::blocked;
    const auto& items = blocked ? s_.block : s_.exempt;
    e.listed = fmt::format("{}[{}]", blocked ? "block" : "exempt", r_.listed - items.data());
  }

  // ---- rules

  explained_rule explain_rule(const limiter::rule& rule, const limiter::match_result& match) {
    explained_rule x;
    x.rule = &rule;
    if (rule.mode == limiter::rule_mode::disabled) {
      x.what = fate::disabled;
      x.why = "mode: disabled";
      return x;
    }
    const limiter::mismatch miss = limiter::find_mismatch(rule.match, r_.attributes, scratch_);
    if (miss.part != match_part::none) {
      x.what = fate::unmatched;
      x.why = why_not(rule.match, miss);
      return x;
    }
    x.fallback = !has_all(rule.key) && rule.missing == limiter::on_missing::fallback;
    x.key = values_of(x.fallback ? rule.fallback : rule.key);
    if (const limiter::charge* c = charge_of(rule)) {
      counted(x, *c);
    } else {
      uncounted(x, match);
    }
    return x;
  }

  void counted(explained_rule& x, const limiter::charge& c) {
    x.what = fate::counted;
    x.subject = c.subject_name();
    x.cost = c.cost;
    x.quota = c.quota();
    x.shadow = c.shadow;
    x.cost_from = cost_source_of(*x.rule);
    const auto i = static_cast<std::size_t>(&c - r_.charges.data());
    if (i < r_.result.states.size() && r_.result.states[i].known()) x.state = r_.result.states[i];
  }

  void uncounted(explained_rule& x, const limiter::match_result& match) {
    const limiter::rule& rule = *x.rule;
    if (match.malformed == &rule) {
      x.what = fate::refused;
      x.why = "its key is given more than once: 400";
    } else if (match.unauthenticated == &rule || r_.match.unauthenticated == &rule) {
      x.what = fate::refused;
      x.why = fmt::format("{}: 401 (missing: {})", absent(x.key),
                          rule.missing == limiter::on_missing::deny ? "deny" : "fallback");
    } else if (std::find(match.unlimited.begin(), match.unlimited.end(), &rule) != match.unlimited.end()) {
      x.what = fate::unlimited;
      x.why = "unlimited for this key";
    } else if (r_.listed == nullptr && rule.missing == limiter::on_missing::skip && !has_all(rule.key)) {
      x.what = fate::skipped;
      x.why = fmt::format("{} (missing: skip)", absent(x.key));
    } else {
      x.why = r_.listed != nullptr ? fmt::format("the request is {}", to_string(r_.verdict))
                                   : "the request is refused before";
    }
  }

  static std::string absent(const std::vector<explained_value>& key) {
    std::vector<std::string_view> names;
    for (const explained_value& v : key) {
      if (!v.value) names.push_back(v.selector);
    }
    return fmt::format("the request has no {}", fmt::join(names, ", "));
  }

  [[nodiscard]] const limiter::charge* charge_of(const limiter::rule& rule) const {
    for (const limiter::charge_list* list : {&r_.charges, &r_.here}) {
      for (const limiter::charge& c : *list) {
        if (c.matched == &rule) return &c;
      }
    }
    return nullptr;
  }

  std::string cost_source_of(const limiter::rule& rule) {
    if (rule.response_cost) return "reserve";
    if (rule.cost_from) {
      const auto& from = *rule.cost_from;
      const std::string text = from.header.empty() ? "query:" + from.query : "header:" + from.header;
      const auto selector = limiter::parse_selector(text);
      if (selector && (limiter::select(*selector, r_.attributes, scratch_) ||
                       limiter::is_repeated(*selector, r_.attributes))) {
        return text;
      }
    }
    for (const auto& [route, cost] : rule.cost_by_route) {
      if (route == r_.attributes.route) return "route " + route;
    }
    return "default";
  }

  // ---- values

  [[nodiscard]] bool has_all(const std::vector<limiter::selector>& key) {
    return std::all_of(key.begin(), key.end(), [this](const limiter::selector& s) {
      return limiter::select(s, r_.attributes, scratch_).has_value();
    });
  }

  std::vector<explained_value> values_of(const std::vector<limiter::selector>& key) {
    std::vector<explained_value> values;
    values.reserve(key.size());
    for (const limiter::selector& s : key) values.push_back({s.text, shown(s)});
    return values;
  }

  /// Users, cookies and headers that hold keys are shown as logs show users.
  std::optional<std::string> shown(const limiter::selector& s) {
    const auto value = limiter::select(s, r_.attributes, scratch_);
    if (!value) return std::nullopt;
    const bool secret = s.text == "user" ? hashed_user_ : is_secret(s);
    if (!secret) return std::string(*value);
    std::string hash = "#";
    identity::append_user_hash(hash, s_.hash_key, *value);
    return hash;
  }

  [[nodiscard]] bool is_secret(const limiter::selector& s) const {
    if (s.text.starts_with("cookie:") || s.text == "header:authorization" || s.text == "header:cookie")
      return true;
    return std::any_of(s_.users.begin(), s_.users.end(),
                       [&](const user_source& source) { return source.hash && source.from.text == s.text; });
  }

  // ---- matches

  std::string why_not(const limiter::request_match& match, const limiter::mismatch& miss) {
    const auto wants = [](std::string_view part, const std::vector<std::string>& wanted,
                          std::string_view got) {
      return fmt::format("{} is {}, not {}", part, got.empty() ? "none" : got, fmt::join(wanted, " or "));
    };
    switch (miss.part) {
      case match_part::methods:
        return wants("the method", match.methods, r_.attributes.method);
      case match_part::path:
        return wants("the path", match.paths, r_.attributes.path);
      case match_part::host:
        return wants("the host", match.hosts, r_.attributes.host);
      case match_part::route:
        return wants("the route", match.routes, r_.attributes.route);
      case match_part::client_ip:
        return fmt::format("the client {} is in none of its networks", r_.client_ip);
      case match_part::value:
        return wants(miss.value->from.text,
                     miss.value->values.empty() ? std::vector<std::string>{"present"} : miss.value->values,
                     shown(miss.value->from).value_or(""));
      case match_part::excluded:
        return "its `not` fits";
      case match_part::none:
        break;
    }
    return {};
  }

  const evaluated_request& r_;
  const settings& s_;
  std::string scratch_;
  bool hashed_user_ = false;
};

}  // namespace

explanation explain(const evaluated_request& request) {
  return explainer(request).run();
}

}  // namespace weir::proxy::offline
