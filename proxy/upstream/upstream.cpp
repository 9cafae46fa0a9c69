// SPDX-License-Identifier: Apache-2.0
#include "proxy/upstream/upstream.hpp"

#include "proxy/observe/own_log.hpp"

#include <algorithm>
#include <string>

namespace weir::proxy {
namespace {

/// FNV-1a: the same in every process and on every machine.
std::uint64_t hash_of(std::string_view text) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325ull;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  return hash;
}

}  // namespace

upstream::upstream(services& worker, const upstream_settings& s, upstream_counters& c,
                   std::vector<std::vector<resolved_address>> addresses,
                   const std::shared_ptr<const tls::client_context>& tls)
    : settings(s),
      counters(c),
      budget(s.retry.budget_percent, s.retry.budget_min),
      worker_(worker),
      balancer_(make_balancer(s.balance)),
      views_(s.endpoints.size()),
      health_(s.outlier, s.endpoints.size()) {
  for (std::size_t i = 0; i < s.endpoints.size(); ++i) {
    endpoints_.push_back(
        std::make_unique<proxy::endpoint>(worker, s.endpoints[i], s.pool, c, std::move(addresses[i]), tls));
    views_[i].weight = s.endpoints[i].weight;
    views_[i].identity = hash_of(endpoints_[i]->text());
  }
}

upstream::~upstream() {
  for (std::size_t i = 0; i < size(); ++i) {
    if (!health_.up(i)) counters.endpoints_out[i].add(-1);
  }
}

attempt_ticket upstream::pick(tried_endpoints tried, std::string_view client) {
  if (endpoints_.size() == 1) return {};  // whatever is known of it, there is no other
  const std::int64_t now = worker_.now_us;
  const bool retry = !tried.empty();
  const bool spare = settings.retry.honor_retry_after;
  for (std::size_t i = 0; i < endpoints_.size(); ++i) {
    const std::uint64_t random = worker_.random.next();
    standing how = health_.standing_of(i, retry && spare, static_cast<std::uint32_t>(random), now);
    if (how == standing::fine && std::find(tried.begin(), tried.end(), i) != tried.end())
      how = standing::tried;
    views_[i].standing = how;
    views_[i].in_flight = endpoints_[i]->in_flight();
  }
  lot by{.random = worker_.random.next()};
  if (settings.balance == balance_method::client_hash) by.client = hash_of(client);
  const auto index = static_cast<std::uint32_t>(balancer_->pick(views_, by));
  return {index, health_.begin(index, now)};
}

void upstream::ended(attempt_ticket attempt, attempt_result how) {
  if (endpoints_.size() == 1) return;
  note(attempt.endpoint, health_.end(attempt.endpoint, attempt.probe, how, worker_.now_us));
}

void upstream::checked(std::uint32_t endpoint, bool healthy) {
  note(endpoint, health_.checked(endpoint, healthy));
}

void upstream::note(std::uint32_t endpoint, health_change change) {
  if (change.what == health_change::kind::none) return;
  const bool out = change.what == health_change::kind::out;
  const auto reason = static_cast<std::size_t>(change.reason);
  if (change.toggled) counters.endpoints_out[endpoint].add(out ? 1 : -1);
  const std::string& name = endpoints_[endpoint]->text();
  if (!out) {
    log_event(log_level::info, "endpoint back in use", {{"upstream", settings.name}, {"endpoint", name}});
    return;
  }
  counters.ejections[reason].add();
  log_event(
      log_level::warn, "endpoint out of use",
      {{"upstream", settings.name}, {"endpoint", name}, {"cause", std::string(eject_reason_names[reason])}});
}

}  // namespace weir::proxy
