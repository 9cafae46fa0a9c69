// SPDX-License-Identifier: Apache-2.0
// From a validated head to a decision: identify, match, decide.
#include "limiter/limiter.hpp"
#include "proxy/downstream/identify.hpp"
#include "proxy/downstream/session.hpp"
#include "proxy/http/rate_limit_fields.hpp"
#include "proxy/http/rewrite.hpp"
#include "proxy/http/upgrade.hpp"
#include "proxy/identity/listed.hpp"
#include "proxy/observe/metrics.hpp"
#include "proxy/runtime/clock.hpp"

#include <array>
#include <new>
#include <stdexcept>

namespace weir::proxy {

namespace {

/// Why the store did not decide, as the log says it.
std::string_view store_reason(limiter::errc failure) noexcept {
  static constexpr std::array<std::string_view, limiter::errc_count> reasons{"",
                                                                             "store_timeout",
                                                                             "store_refused",
                                                                             "store_closed",
                                                                             "store_noscript",
                                                                             "store_readonly",
                                                                             "store_loading",
                                                                             "store_moved",
                                                                             "store_oom",
                                                                             "store_busy",
                                                                             "store_auth",
                                                                             "store_protocol",
                                                                             "store_overloaded",
                                                                             "store_script"};
  return reasons[static_cast<std::size_t>(failure)];
}

}  // namespace

bool session::on_head() {
  http::request_head& head = request_->head;
  channel_.head_size = head.size();
  channel_.in.consume(head.size());
  ++requests_;
  close_after_ = !head.keep_alive || requests_ >= config().limits.requests_per_connection;
  if (worker_.buffers.crowded()) return answer(http::local_error::overloaded, "memory", true);
  if (head.framing != http::framing::none) {
    // Views into the buffer follow: it must be large enough for the body's window before they are taken.
    const bool large =
        head.framing == http::framing::chunked || head.content_length > buffer_pool::small_block / 2;
    const std::size_t window = large ? buffer_pool::small_block : buffer_pool::small_block / 2;
    channel_.in.ensure(worker_.buffers, std::max(head.size() + window, large ? buffer_pool::large_block : 0));
  }
  request_->body.begin(head.framing, head.content_length, config().limits.body_size);
  const auto refused = identify(*request_, buffer(), peer_, peer_text_, worker_.random);
  if (head.underscore_names > 0) worker_.metrics.ignored[metric_shard::underscore].add(head.underscore_names);
  if (refused) return answer(refused->error, refused->reason, false);
#ifdef WEIR_TEST_HOOKS
  for (std::size_t i = 0; i < head.field_count; ++i) {
    if (head.name(head.fields[i], buffer()) != "X-Weir-Test-Throw") continue;
    if (head.value(head.fields[i], buffer()) == "memory") throw std::bad_alloc();
    throw std::runtime_error("thrown by a test");
  }
#endif
  return admit();
}

bool session::admit() {
  const settings& s = config();
  std::uint64_t body_limit = s.limits.body_size;
  if (request_->route && s.routes[*request_->route].body_size > 0)
    body_limit = s.routes[*request_->route].body_size;
  const http::request_head& head = request_->head;
  if (head.framing == http::framing::content_length && head.content_length > body_limit) {
    return answer(http::local_error::body_too_large, "body_too_large", true);
  }
  request_->body.begin(head.framing, head.content_length, body_limit);

  return apply_lists();
}

/// `block`, a user the route demands, `exempt`: in this order, before anything is counted.
bool session::apply_lists() {
  const settings& s = config();
  active_request& r = *request_;
  if (const listed_requests* hit = identity::find_listed(s.block, r.attributes, r.scratch)) {
    r.listed = hit;
    r.verdict = record_decision::blocked;
    worker_.metrics.list(r.config->block_slots[static_cast<std::size_t>(hit - s.block.data())]).blocked.add();
    return answer(http::local_error::forbidden, hit->reason, false);
  }
  if (r.route && s.routes[*r.route].require_user && !r.attributes.user) {
    r.verdict = record_decision::deny;
    return answer_unauthenticated();
  }
  if (const listed_requests* hit = identity::find_listed(s.exempt, r.attributes, r.scratch)) {
    r.listed = hit;
    worker_.metrics.list(r.config->exempt_slots[static_cast<std::size_t>(hit - s.exempt.data())])
        .exempt.add();
    return ask_limiter();  // without a charge it allows
  }
  return match_rules();
}

/// Says in the log why a token that came did not count.
bool session::answer_unauthenticated() {
  const std::string_view why = identity::to_reason(request_->token_problem);
  return answer(http::local_error::unauthenticated, why.empty() ? "unauthenticated" : why, false);
}

bool session::match_rules() {
  const settings& s = config();
  s.policy.match(request_->attributes, request_->scratch, request_->match);
  s.concurrency.match(request_->attributes, request_->scratch, request_->slot_match);
  for (const limiter::match_result* match : {&request_->match, &request_->slot_match}) {
    if (match->malformed != nullptr) return answer(http::local_error::bad_request, "repeated_key", true);
    if (match->unauthenticated != nullptr) {
      request_->match.unauthenticated = match->unauthenticated;
      request_->verdict = record_decision::deny;
      return answer_unauthenticated();
    }
  }
  request_->charges = request_->match.charges;
  if (!request_->slot_match.charges.empty()) {
    add_slot_charges();
    if (const limiter::charge* line = line_in_front()) return queue_up(*line);
  }
  return ask_limiter();
}

bool session::ask_limiter() {
  stage_ = stage::deciding;
  request_->limiter_us = steady_now_us();
  worker_.limiter->decide(*request_);
  return stage_ == stage::deciding ? false : after_decision();
}

bool session::after_decision() {
  worker_.now_us = steady_now_us();
  request_->limiter_us = worker_.now_us - request_->limiter_us;
  const limiter::decision& decision = request_->result;
  if (decision.no_slot != nullptr) return slot_refused();
  leave_line();
  request_->no_slot = nullptr;
  count_decision();
  const bool decided_here =
      decision.failure != limiter::errc::ok && decision.mode == limiter::failure_mode::local;
  request_->reason = decided_here ? "fallback_local" : store_reason(decision.failure);
  const bool denied = decision.verdict == limiter::verdict::deny;
  if (denied) spread_waits();
  if (denied || config().deny.headers_on_all) add_rate_limit_fields();
  if (denied) return answer_denied();
  request_->verdict = request_->listed != nullptr ? record_decision::exempt : record_decision::allow;
  request_->permit.emplace(request_->take_permit());
  got_slots();
  if (request_->head.hops == 0) return answer_options();
  if (!request_->route) return answer(http::local_error::no_route, "no_route", false);
  const route_settings& route = config().routes[*request_->route];
  const upstream_settings& target = config().upstreams[route.upstream];
  if (request_->head.nominates) {
    request_->upgrade = http::requested_upgrade(request_->head, buffer(), route.upgrade);
    worker_.metrics.ignored[metric_shard::nomination].add(
        http::ignored_nominations(request_->head, buffer(), request_->config->identity_headers));
  }
  const std::int64_t total =
      route.stream ? 0 : to_us(route.timeout_total.count() > 0 ? route.timeout_total : target.timeout_total);
  if (!forward_) forward_ = std::make_unique<forward>(worker_, channel_, static_cast<forward_owner&>(*this));
  forward_->begin(*request_->permit, *request_, *request_->config->upstreams[route.upstream], total);
  stage_ = stage::forwarding;
  return true;
}

/// Before anything tells of them, so that fields, body and log agree.
void session::spread_waits() {
  const int percent = config().deny.jitter_percent;
  if (percent > 0) {
    http::spread_waits(request_->result, percent, static_cast<std::uint32_t>(worker_.random.next()));
  }
}

void session::add_rate_limit_fields() {
  if (request_->charges.empty()) return;
  const deny_settings& deny = config().deny;
  http::item_options options;
  options.epoch = deny.reset_is_time;
  if (options.epoch) options.wall_now_us = wall_now_us();
  if (deny.tell_partitions) options.partition_key = &config().hash_key;
  http::append_rate_limit_fields(request_->rate_fields, request_->charges, request_->result,
                                 listener_.emitters ? *listener_.emitters : deny.headers, options);
}

void session::count_decision() {
  const limiter::decision& decision = request_->result;
  const bool allowed = decision.verdict == limiter::verdict::allow;
  if (!request_->charges.empty() && decision.failure == limiter::errc::ok) {
    worker_.metrics.store_requests[metric_shard::take].observe(request_->limiter_us, buckets_b_us);
  }
  for (std::size_t i = 0; i < request_->charges.size(); ++i) {
    const limiter::charge& charge = request_->charges[i];
    if (charge.matched->slots) continue;
    rule_counters& counters = worker_.metrics.rule(request_->config->rule_slots[charge.matched->index]);
    if (allowed) counters.allow.add();
    if (decision.limiting == static_cast<int>(i)) counters.deny.add();
    if (decision.failure != limiter::errc::ok && (decision.failed >> i & 1) != 0) {
      counters.failure_mode[static_cast<std::size_t>(charge.matched->failure_mode)].add();
      if (allowed) counters.degraded_admitted.add();
    }
    if (allowed && i < decision.states.size() &&
        decision.states[i].remaining * 5 <= charge.matched->quota.burst) {
      counters.near_limit.add();
    }
  }
  if (decision.failure != limiter::errc::ok) {
    worker_.metrics.store_errors[static_cast<std::size_t>(decision.failure)].add();
  }
}

}  // namespace weir::proxy
