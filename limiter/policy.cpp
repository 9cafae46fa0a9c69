// SPDX-License-Identifier: Apache-2.0
#include "limiter/policy.hpp"

#include "limiter/match_index.hpp"

#include <algorithm>
#include <boost/container/static_vector.hpp>
#include <map>
#include <optional>
#include <span>

namespace weir::limiter {
namespace {

using key_selectors = std::vector<selector>;

/// Position of `item` in `items`, appended when it is new.
template <typename T>
std::uint32_t intern(std::vector<T>& items, const T& item) {
  const auto place = std::find(items.begin(), items.end(), item);
  if (place != items.end()) return static_cast<std::uint32_t>(place - items.begin());
  items.push_back(item);
  return static_cast<std::uint32_t>(items.size() - 1);
}

bool any_repeated(const key_selectors& key, const request_attributes& request) {
  return std::any_of(key.begin(), key.end(), [&](const selector& s) { return is_repeated(s, request); });
}

/// The subjects of one request. Rules often share a key: each distinct one is hashed once.
class request_subjects {
 public:
  request_subjects(const request_attributes& request, std::string& scratch, bool readable_names)
      : request_(request), scratch_(scratch), readable_names_(readable_names) {}

  struct named_subject {
    explicit named_subject(std::uint32_t n) noexcept : number(n) {}
    std::uint32_t number;
    subject_key subject;
    std::shared_ptr<const std::string> name;  // null: the hash is the name
  };

  /// `number` is equal for equal keys. Null when a selector has no value; valid until the next call.
  const named_subject* find(const key_selectors& key, std::uint32_t number) {
    for (const named_subject& e : known_) {
      if (e.number == number) return &e;
    }
    if (known_.size() == known_.capacity()) known_.pop_back();
    named_subject& found = known_.emplace_back(number);
    if (!describe(key, request_, scratch_, found.subject)) return known_.pop_back(), nullptr;
    if (readable_names_) found.name = readable_name(key, request_);
    return &found;
  }

 private:
  const request_attributes& request_;
  std::string& scratch_;
  bool readable_names_;
  boost::container::static_vector<named_subject, 8> known_;  // more distinct keys than that are hashed anew
};

std::optional<selector> selector_of(const cost_source& from) {
  return parse_selector(from.header.empty() ? "query:" + from.query : "header:" + from.header);
}

/// The client's value, or `otherwise` when it names none; several values are as good as garbage.
std::int64_t client_cost(const cost_source& from, const selector& where, std::int64_t otherwise,
                         const request_attributes& request, std::string& scratch) {
  const auto value = select(where, request, scratch);
  if (value) return clamped_cost(from, *value);
  return is_repeated(where, request) ? from.max : std::clamp(otherwise, from.min, from.max);
}

/// What the key may use by a tier or an override: `quota` null and not unlimited = what the rule says.
struct special_quota {
  const limiter::quota* quota = nullptr;
  bool unlimited = false;
};

special_quota of(const allowance& allowed) noexcept {
  return {allowed ? &*allowed : nullptr, !allowed};
}

/// An override before the tier, the tier before the rule.
special_quota quota_for(const rule& r, const request_attributes& request, std::string& scratch) {
  if (r.overrides) {
    if (const auto* item = r.overrides->find(request, request.now_us, scratch)) return of(item->allowed);
  }
  if (request.tier) {
    for (const tier_quota& t : r.tiers) {
      if (t.tier == *request.tier) return of(t.allowed);
    }
  }
  return {nullptr, r.unlimited};
}

/// Kept per thread: a request must not allocate, whatever its caller keeps.
std::vector<std::uint32_t>& candidate_room() {
  static thread_local std::vector<std::uint32_t> candidates;
  return candidates;
}

void refuse(match_result& out, const rule*& reason, const rule& r) {
  out.charges.clear();
  out.unlimited.clear();
  reason = &r;
}

}  // namespace

/// Everything about the rules that does not depend on the request. Indexes only, see policy.hpp.
struct policy_set::compiled {
  struct entry {
    bool asks_who = false;
    bool one_quota = true;         // for all keys
    std::uint32_t key_number = 0;  // equal for equal keys
    std::uint32_t fallback_number = 0;
    std::vector<bool> routes;            // by route number; empty = all routes
    std::vector<std::int64_t> costs;     // by route number; empty = the default cost everywhere
    std::optional<selector> cost_value;  // where the client names the cost
  };
  std::vector<entry> entries;  // one per rule
  match_index index;           // the number is the rule's; disabled ones are not in it
  std::map<std::string, std::size_t, std::less<>> route_numbers;  // of routes that rules speak about

  explicit compiled(std::span<const rule> rules);

  /// One look-up per request; routes that no rule names share the number past the end.
  std::size_t route_number(std::string_view name) const {
    const auto known = route_numbers.find(name);
    return known != route_numbers.end() ? known->second : route_numbers.size();
  }
};

policy_set::compiled::compiled(std::span<const rule> rules) : entries(rules.size()) {
  std::vector<key_selectors> keys;
  for (const rule& r : rules) {
    for (const std::string& name : r.match.routes) route_numbers.try_emplace(name, route_numbers.size());
    for (const auto& [name, cost] : r.cost_by_route) route_numbers.try_emplace(name, route_numbers.size());
  }
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const rule& r = rules[i];
    entry& e = entries[i];
    e.key_number = intern(keys, r.key);
    e.fallback_number = intern(keys, r.fallback);
    e.asks_who = r.match.asks_who();
    e.one_quota = !r.unlimited && r.tiers.empty() && !r.overrides;
    if (r.mode != rule_mode::disabled) index.insert(r.match, static_cast<std::uint32_t>(i));
    if (!r.match.routes.empty()) e.routes.assign(route_numbers.size() + 1, false);
    for (const std::string& name : r.match.routes) e.routes[route_number(name)] = true;
    if (!r.cost_by_route.empty()) e.costs.assign(route_numbers.size() + 1, r.cost_default);
    for (const auto& [name, cost] : r.cost_by_route) e.costs[route_number(name)] = cost;
    if (r.cost_from) e.cost_value = selector_of(*r.cost_from);
  }
}

policy_set::policy_set(std::vector<rule> rules, bool readable_names)
    : rules_(std::move(rules)),
      readable_names_(readable_names),
      expires_(std::any_of(rules_.begin(), rules_.end(),
                           [](const rule& r) { return r.overrides && r.overrides->expires(); })),
      compiled_(std::make_shared<const compiled>(rules_)) {}

std::int64_t clamped_cost(const cost_source& from, std::string_view value) noexcept {
  constexpr std::int64_t most = std::int64_t{1} << 31;
  if (value.empty() || value.size() > 64) return from.max;
  std::int64_t number = 0;
  for (const char c : value) {
    if (c < '0' || c > '9') return from.max;
    number = std::min(number * 10 + (c - '0'), most);
  }
  return std::clamp(number, from.min, from.max);
}

std::string modes_in_words(const std::vector<rule>& rules) {
  const auto count = [&](rule_mode mode) {
    const auto is = [mode](const rule& r) { return r.mode == mode; };
    return std::to_string(std::count_if(rules.begin(), rules.end(), is));
  };
  return std::to_string(rules.size()) + (rules.size() == 1 ? " rule: " : " rules: ") +
         count(rule_mode::enforce) + " enforced, " + count(rule_mode::shadow) + " shadow, " +
         count(rule_mode::disabled) + " disabled";
}

void policy_set::prepare_thread() {
  (void)candidate_room();
  prepare_describing();
}

void policy_set::match(const request_attributes& request, std::string& scratch, match_result& out) const {
  out.clear();
  if (rules_.empty()) return;

  std::vector<std::uint32_t>& candidates = candidate_room();
  candidates.clear();
  compiled_->index.candidates(request, request.path, scratch, candidates);

  const std::size_t route = compiled_->route_number(request.route);
  request_subjects subjects(request, scratch, readable_names_);
  for (const std::uint32_t number : candidates) {
    const rule& r = rules_[number];
    const compiled::entry& e = compiled_->entries[number];
    if (!e.routes.empty() && !e.routes[route]) continue;
    if (e.asks_who && !matches_who(r.match, request, scratch)) continue;

    const auto* subject = subjects.find(r.key, e.key_number);
    if (!subject && any_repeated(r.key, request)) return refuse(out, out.malformed, r);
    if (!subject && r.missing == on_missing::skip) continue;
    if (!subject && r.missing == on_missing::fallback) {
      subject = subjects.find(r.fallback, e.fallback_number);
      if (!subject && any_repeated(r.fallback, request)) return refuse(out, out.malformed, r);
    }
    // a fallback without a value refuses too: a missing key must not open the gate
    if (!subject) return refuse(out, out.unauthenticated, r);
    const special_quota special = e.one_quota ? special_quota{} : quota_for(r, request, scratch);
    if (special.unlimited) {
      out.unlimited.push_back(&r);
      continue;
    }
    std::int64_t cost = e.costs.empty() ? r.cost_default : e.costs[route];
    if (e.cost_value) cost = client_cost(*r.cost_from, *e.cost_value, cost, request, scratch);
    if (r.response_cost) cost = r.response_cost->reserve;
    charge& c = out.charges.emplace_back();
    c.matched = &r;
    c.subject = subject->subject;
    c.cost = cost;
    c.name = subject->name;
    c.special = special.quota;
    c.shadow = r.shadows(c.subject.view());
  }
}

}  // namespace weir::limiter
