// SPDX-License-Identifier: Apache-2.0
// From a validated head to a decision: identify, match, decide.
#include "limiter/limiter.hpp"
#include "proxy/decide/admission.hpp"
#include "proxy/decide/identify.hpp"
#include "proxy/decide/own_answer.hpp"
#include "proxy/downstream/request_id.hpp"
#include "proxy/downstream/session.hpp"
#include "proxy/http/rate_limit_fields.hpp"
#include "proxy/http/rewrite.hpp"
#include "proxy/http/upgrade.hpp"
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

std::size_t position_of(const listed_requests* item, const std::vector<listed_requests>& list) noexcept {
  return static_cast<std::size_t>(item - list.data());
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
  find_request_id(*request_, buffer(), worker_.random);
  const std::int64_t wall_us = request_->config->tokens ? wall_now_us() : 0;  // nothing else asks for it
  const auto refused = identify(*request_, buffer(), peer_, peer_text_, wall_us);
  if (head.underscore_names > 0) worker_.metrics.ignored[metric_shard::underscore].add(head.underscore_names);
  if (refused) return answer(refused->error, refused->reason, false);
#ifdef WEIR_TEST_HOOKS
  for (std::size_t i = 0; i < head.field_count; ++i) {
    if (head.name(head.fields[i], buffer()) != "X-Weir-Test-Throw") continue;
    if (head.value(head.fields[i], buffer()) == "memory") throw std::bad_alloc();
    throw std::runtime_error("thrown by a test");
  }
#endif
  return on_identified();
}

bool session::on_identified() {
  active_request& r = *request_;
  r.body.begin(r.head.framing, r.head.content_length, body_limit(r));
  if (config().policy.expires()) r.attributes.now_us = wall_now_us();
  switch (admit(r)) {
    case admission::ask:
      return ask_for_slots();
    case admission::exempt:
      worker_.metrics.list(r.config->exempt_slots[position_of(r.listed, config().exempt)]).exempt.add();
      return ask_limiter();  // without a charge it allows
    case admission::blocked:
      worker_.metrics.list(r.config->block_slots[position_of(r.listed, config().block)]).blocked.add();
      r.verdict = record_decision::blocked;
      return answer(http::local_error::forbidden, r.listed->reason, false);
    case admission::body_too_large:
      return answer(http::local_error::body_too_large, "body_too_large", true);
    case admission::unauthenticated:
      r.verdict = record_decision::deny;
      return answer(answer_to_unknown(r));
    case admission::malformed:
      break;
  }
  return answer(http::local_error::bad_request, "repeated_key", true);
}

/// Slots travel with the rules, unless somebody waits for one of them already.
bool session::ask_for_slots() {
  if (!request_->slot_match.charges.empty()) {
    worker_.slots->append_holder(request_->holder);
    add_slot_charges(*request_, request_->holder);
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
  add_limit_fields();
  if (denied) return answer_denied();
  request_->verdict = admitted_as(*request_);
  request_->permit.emplace(request_->take_permit());
  got_slots();
  if (request_->head.hops == 0) return answer_options();
  if (!request_->route) return answer(http::local_error::no_route, "no_route", false);
  const route_settings& route = config().routes[*request_->route];
  const upstream_settings& target = config().upstreams[route.upstream];
  if (request_->head.nominates) {
    request_->upgrade = http::requested_upgrade(request_->head, buffer(), route.upgrade);
    worker_.metrics.ignored[metric_shard::nomination].add(
        http::ignored_nominations(request_->head, buffer(), request_->config->identity_headers.all()));
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

void session::add_limit_fields() {
  const deny_settings& deny = config().deny;
  append_limit_fields(request_->rate_fields, *request_,
                      listener_->emitters ? *listener_->emitters : deny.headers,
                      deny.reset_is_time ? wall_now_us() : 0);
}

void session::count_decision() {
  const limiter::decision& decision = request_->result;
  const bool allowed = decision.admitted();
  if (!request_->charges.empty() && decision.failure == limiter::errc::ok) {
    worker_.metrics.store_requests[metric_shard::take].observe(request_->limiter_us, buckets_b_us);
  }
  for (std::size_t i = 0; i < request_->charges.size(); ++i) {
    const limiter::charge& charge = request_->charges[i];
    if (charge.matched->slots) continue;
    rule_counters& counters = worker_.metrics.rule(request_->config->rule_slots[charge.matched->index]);
    const bool shadow_denied = (decision.shadow_denied >> i & 1) != 0;
    if (shadow_denied) counters.shadow_deny.add();
    if (allowed && !shadow_denied) counters.allow.add();
    if (decision.limiting == static_cast<int>(i)) counters.deny.add();
    if (decision.failure != limiter::errc::ok && (decision.failed >> i & 1) != 0) {
      counters.failure_mode[static_cast<std::size_t>(charge.matched->failure_mode)].add();
      if (allowed) counters.degraded_admitted.add();
    }
    if (allowed && !shadow_denied && i < decision.states.size() && decision.states[i].known() &&
        decision.states[i].remaining * 5 <= charge.quota().burst) {
      counters.near_limit.add();
    }
  }
  for (const limiter::rule* rule : request_->match.unlimited) {
    worker_.metrics.rule(request_->config->rule_slots[rule->index]).exempt.add();
  }
  if (decision.failure != limiter::errc::ok) {
    worker_.metrics.store_errors[static_cast<std::size_t>(decision.failure)].add();
  }
}

}  // namespace weir::proxy
