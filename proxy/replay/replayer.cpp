// SPDX-License-Identifier: Apache-2.0
#include "proxy/replay/replayer.hpp"

#include "proxy/identity/keyed_hash.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace weir::replay {
namespace {

/// Fields about the message, which is not sent again, or that are described otherwise.
constexpr std::array<std::string_view, 10> unsent_headers{
    "host", "content-length", "transfer-encoding", "connection", "expect",
    "te",   "trailer",        "upgrade",           "keep-alive", "proxy-connection"};

bool is_unsent(std::string_view name) noexcept {
  return std::find(unsent_headers.begin(), unsent_headers.end(), name) != unsent_headers.end();
}

/// The last address of a list, which is the one that connected, taken off it.
std::string_view take_last(std::string_view& list) noexcept {
  const auto comma = list.rfind(',');
  std::string_view last = comma == std::string_view::npos ? list : list.substr(comma + 1);
  list = comma == std::string_view::npos ? std::string_view{} : list.substr(0, comma);
  while (last.starts_with(' ')) last.remove_prefix(1);
  while (last.ends_with(' ')) last.remove_suffix(1);
  return last;
}

/// Chosen by clients, and maybe a secret.
bool is_secret(std::string_view selector_text) noexcept {
  return selector_text.starts_with("header:") || selector_text.starts_with("cookie:") ||
         selector_text.starts_with("query:") || selector_text.starts_with("claim:");
}

/// What is shown on a terminal must not be able to command it.
void append_printable(std::string& out, std::string_view text) {
  for (const char c : text) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
}

}  // namespace

replayer::replayer(const proxy::settings& policy, const log_contents& log)
    : policy_(reduce(policy, log)), evaluator_(policy_.settings), request_(std::make_unique<evaluated>()) {}

std::vector<std::string> replayer::rule_names() const {
  std::vector<std::string> names;
  for (const limiter::rule& r : policy_.settings->policy.rules()) names.push_back(r.name);
  return names;
}

const judgement& replayer::judge(const held_line& line) {
  settle_until(line.arrival_us);
  judged_ = request_.get();
  describe(line.request);
  evaluator_.decide(*request_, described_, line.arrival_us);
  read_decision();
  if (request_->permit && request_->permit->owes()) {
    const bool answered = line.request.decision != logged_decision::deny &&
                          line.request.decision != logged_decision::blocked && line.request.status > 0;
    if (answered) {
      keep_until_end(line);
    } else {
      request_->permit.reset();
    }
  }
  return judgement_;
}

void replayer::describe(const logged_request& line) {
  target_.assign(line.target);
  if (!line.query.empty()) target_.append("?").append(line.query);
  described_.method = line.method;
  described_.target = target_;
  described_.host = line.host.empty() ? std::string_view("localhost") : line.host;
  describe_headers(line);
  describe_client(line);
  described_.headers = headers_;
  described_.given = nullptr;
  if (policy_.user_in_log && !line.user.empty()) {
    if (!identity_.user) identity_.user.emplace();
    identity_.user->assign(line.user);
    described_.given = &identity_;
  }
}

void replayer::describe_headers(const logged_request& line) {
  headers_.clear();
  for (const logged_header& header : line.headers) {
    if (is_unsent(header.name) || header.name == policy_.settings->client_ip.header) continue;
    headers_.push_back({header.name, header.value});
  }
}

/// The client that the log names is believed; else the chain of proxies is walked as the proxy would.
void replayer::describe_client(const logged_request& line) {
  std::string_view connected = line.client;
  std::string_view chain = line.forwarded_for;
  if (connected.empty()) {
    connected = line.peer.empty() ? take_last(chain) : line.peer;
    const std::string& name = policy_.settings->client_ip.header;
    if (!name.empty() && !chain.empty()) headers_.push_back({name, chain});
  }
  described_.peer = identity::parse_forwarded_element(connected).value_or(identity::address{});
}

void replayer::read_decision() {
  const evaluated& r = *request_;
  judgement& j = judgement_;
  j.rule = judgement::no_rule;
  j.retry_after_us = 0;
  j.charges.clear();
  switch (r.verdict) {
    case proxy::record_decision::allow:
    case proxy::record_decision::shadow_deny:
      j.outcome = fate::allowed;
      break;
    case proxy::record_decision::deny:
      j.outcome = fate::denied;
      if (const limiter::rule* rule = r.rule()) j.rule = rule->index;
      j.retry_after_us = r.retry_after_us();
      break;
    case proxy::record_decision::exempt:
      j.outcome = fate::exempt;
      break;
    case proxy::record_decision::blocked:
      j.outcome = fate::blocked;
      break;
    case proxy::record_decision::rejected:
      j.outcome = fate::refused;
      break;
  }
  if (r.result.states.size() != r.charges.size()) return;
  for (std::size_t i = 0; i < r.charges.size(); ++i) {
    const limiter::charge& c = r.charges[i];
    j.charges.push_back({c.matched->index, c.subject, c.cost, !r.result.states[i].allowed, c.shadow});
  }
}

std::string replayer::key_name(std::size_t charge) const {
  const evaluated& r = *judged_;
  const limiter::rule& rule = *r.charges[charge].matched;
  std::string scratch;
  limiter::subject_key subject;
  const bool own = limiter::describe(rule.key, r.attributes, scratch, subject);
  std::string name;
  for (const limiter::selector& s : own ? rule.key : rule.fallback) {
    const auto value = limiter::select(s, r.attributes, scratch);
    if (!name.empty()) name += ' ';
    if (!value) continue;
    if (is_secret(s.text) || (s.text == "user" && !policy_.user_in_log)) {
      identity::append_user_hash(name, policy_.settings->hash_key, *value);
    } else {
      append_printable(name, *value);
    }
  }
  return name;
}

// ---- settlements

bool replayer::ends_later(const unsettled& a, const unsettled& b) noexcept {
  return a.end_us != b.end_us ? a.end_us > b.end_us : a.number > b.number;
}

void replayer::keep_until_end(const held_line& line) {
  const logged_request& r = line.request;
  if (unsettled_.size() >= max_unsettled) settle_first(line.arrival_us);
  proxy::offline::described_response response;
  response.status = r.status;
  response.request_bytes = static_cast<std::uint64_t>(std::max<std::int64_t>(r.bytes_in, 0));
  response.response_bytes = static_cast<std::uint64_t>(std::max<std::int64_t>(r.bytes_out, 0));
  response.complete = r.status != 499;
  unsettled_.push_back({std::max(r.end_us(), line.arrival_us), line.number, std::move(request_), response});
  std::push_heap(unsettled_.begin(), unsettled_.end(), ends_later);
  if (spare_.empty()) spare_.push_back(std::make_unique<evaluated>());
  request_ = std::move(spare_.back());
  spare_.pop_back();
}

void replayer::settle_until(std::int64_t now_us) {
  while (!unsettled_.empty() && unsettled_.front().end_us <= now_us) settle_first(unsettled_.front().end_us);
}

void replayer::settle_first(std::int64_t at_us) {
  std::pop_heap(unsettled_.begin(), unsettled_.end(), ends_later);
  unsettled over = std::move(unsettled_.back());
  unsettled_.pop_back();
  evaluator_.settle(*over.request, over.response, at_us);
  spare_.push_back(std::move(over.request));
}

}  // namespace weir::replay
