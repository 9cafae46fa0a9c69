// SPDX-License-Identifier: Apache-2.0
#include "proxy/decide/compiled_policy.hpp"

#include <algorithm>

namespace weir::proxy {

namespace {

/// Every selector that the settings read, rule keys included.
class selector_visitor {
 public:
  explicit selector_visitor(compiled_policy& out) : out_(out) {}

  void visit(const settings& s) {
    for (const user_source& source : s.users) {
      if (!source.certificate) own(source.from);
    }
    for (const tier_source& source : s.tiers) own(source.from);
    for (const route_settings& route : s.routes) own(route.match);
    for (const auto* list : {&s.block, &s.exempt}) {
      for (const listed_requests& item : *list) {
        own(item.match);
        if (item.by) own(*item.by);
      }
    }
    for (const limiter::policy_set* policy : {&s.policy, &s.concurrency}) {
      for (const limiter::rule& rule : policy->rules()) visit(rule);
    }
    if (s.jwt) out_.identity_headers.add(s.jwt->header);
  }

  std::vector<std::string> claim_names;

 private:
  template <typename T>
  static void add(std::vector<T>& list, const T& item) {
    if (std::find(list.begin(), list.end(), item) == list.end()) list.push_back(item);
  }

  void visit(const limiter::rule& rule) {
    for (const limiter::selector& s : rule.key) visit(s);
    for (const limiter::selector& s : rule.fallback) visit(s);
    if (rule.overrides) {
      for (const limiter::selector& s : rule.overrides->selectors()) own(s);
    }
    if (rule.cost_from && !rule.cost_from->header.empty()) out_.identity_headers.add(rule.cost_from->header);
    own(rule.match);
  }

  void visit(const limiter::selector& s) {
    if (s.text.starts_with("header:")) out_.identity_headers.add(s.argument);
    if (s.text.starts_with("cookie:")) out_.identity_headers.add("cookie");
    if (s.text.starts_with("claim:")) add(claim_names, s.argument);
  }

  /// Rules refuse a key that is given twice themselves; these are judged before any rule is.
  void own(const limiter::selector& s) {
    visit(s);
    if (s.text.starts_with("cookie:") || s.text.starts_with("query:")) add(out_.single_values, s);
  }

  void own(const limiter::request_match& match) {
    for (const limiter::value_match& wanted : match.values) own(wanted.from);
    for (const limiter::request_match& other : match.excluded) own(other);
  }

  compiled_policy& out_;
};

/// What the access log shows, and what it never does: names of users, and what was asked to be left out.
void note_secrets(const settings& s, compiled_policy& out) {
  std::vector<std::string> secret(always_redacted.begin(), always_redacted.end());
  secret.insert(secret.end(), s.access_log.redact.begin(), s.access_log.redact.end());
  out.hidden_parameters = secret;
  for (const user_source& source : s.users) {
    if (!source.hash || source.certificate) continue;
    if (source.from.text.starts_with("query:")) out.hidden_parameters.push_back(source.from.argument);
    if (source.from.text.starts_with("header:")) secret.push_back(source.from.argument);
  }
  if (s.jwt) secret.push_back(s.jwt->header);
  const auto add = [&](std::string_view name) {
    const auto same = [name](const logged_header& h) { return h.name == name; };
    if (std::any_of(out.logged_headers.begin(), out.logged_headers.end(), same)) return;
    const bool redacted = std::find(secret.begin(), secret.end(), name) != secret.end();
    out.logged_headers.push_back({std::string(name), redacted});
  };
  for (const std::string& name : s.access_log.headers) add(name);
  for (const std::string_view name : s.access_log.format->headers) add(name);
}

}  // namespace

std::optional<std::uint32_t> compiled_policy::find_route(const limiter::request_attributes& request,
                                                         std::string_view path, std::string& scratch,
                                                         std::vector<std::uint32_t>& candidates) const {
  if (!path.starts_with('/')) return std::nullopt;  // `*` of OPTIONS is on no route
  candidates.clear();
  routes.candidates(request, path, scratch, candidates);
  for (const std::uint32_t index : candidates) {
    const limiter::request_match& match = settings->routes[index].match;
    if (!match.asks_who() || limiter::matches_who(match, request, scratch)) return index;
  }
  return std::nullopt;
}

void compile_policy(std::shared_ptr<const settings> s, std::uint64_t secret, compiled_policy& out) {
  for (std::uint32_t i = 0; i < s->routes.size(); ++i) {
    out.routes.insert(s->routes[i].match, i);
  }
  selector_visitor selectors(out);
  selectors.visit(*s);
  for (const std::string& name : s->http.discard) out.discarded_headers.add(name);
  if (!s->client_ip.header.empty()) out.discarded_headers.add(s->client_ip.header);
  out.reserved_headers = out.identity_headers;
  for (const std::string& name : out.discarded_headers.all()) out.reserved_headers.add(name);
  note_secrets(*s, out);
  if (s->jwt) {
    out.tokens = std::make_unique<identity::token_cache>(*s->jwt, std::move(selectors.claim_names), secret);
  }
  out.hashes = std::make_unique<identity::keyed_hasher>(s->hash_key);
  out.settings = std::move(s);
}

}  // namespace weir::proxy
