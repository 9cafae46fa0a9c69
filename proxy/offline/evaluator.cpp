// SPDX-License-Identifier: Apache-2.0
#include "proxy/offline/evaluator.hpp"

#include "proxy/decide/admission.hpp"
#include "proxy/decide/identify.hpp"
#include "proxy/decide/identify_user.hpp"
#include "proxy/http/rate_limit_items.hpp"

#include <algorithm>
#include <charconv>

namespace weir::proxy::offline {

namespace {

void append_fields(std::string& out, std::span<const header_line> headers) {
  for (const header_line& line : headers)
    out.append(line.name).append(": ").append(line.value).append("\r\n");
}

/// A part with a line break would be read as fields of its own.
bool has_lines(std::string_view text, std::size_t lines) noexcept {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) == lines;
}

void append_number(std::string& out, std::uint64_t number) {
  std::array<char, 20> digits;
  out.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr);
}

limiter::memory_table::options table_of(const store_settings& store, const std::int64_t& now_us) {
  limiter::memory_table::options table;
  table.shards = 1;
  table.max_keys = std::int64_t{1} << 30;  // a Redis forgets nothing
  if (store.kind == store_kind::memory) {
    table.max_keys = store.max_keys;
    table.when_full = store.when_full;
  }
  table.clock = [&now_us] { return now_us; };
  return table;
}

}  // namespace

std::vector<header_line> lines_of(const std::vector<std::pair<std::string, std::string>>& headers) {
  std::vector<header_line> lines;
  lines.reserve(headers.size());
  for (const auto& [name, value] : headers) lines.push_back({name, value});
  return lines;
}

void append_head(std::string& out, const described_response& response) {
  out.append("HTTP/1.1 ");
  append_number(out, static_cast<std::uint64_t>(response.status));
  out.append(" \r\n");
  append_fields(out, response.headers);
  out.append("\r\n");
}

// ---- the request

void evaluated_request::start(const compiled_policy& compiled, const described_request& described) {
  permit.reset();
  meter_.reset();
  begin(compiled);
  verdict = record_decision::rejected;
  reason = {};
  status = 0;
  error.reset();
  given_ = described.given;
  peer_ = described.peer;
  peer_text_.clear();
  identity::append_address(peer_text_, described.peer);
  raw_.clear();
  raw_.append(described.method).append(" ").append(described.target).append(" HTTP/1.1\r\n");
  if (!described.host.empty()) raw_.append("Host: ").append(described.host).append("\r\n");
  append_fields(raw_, described.headers);
  raw_.append("\r\n");
}

const limiter::rule* evaluated_request::rule() const noexcept {
  if (no_slot != nullptr) return no_slot;
  const int closest = http::closest_charge(charges, result);
  if (closest >= 0) return charges[static_cast<std::size_t>(closest)].matched;
  return match.unauthenticated != nullptr ? match.unauthenticated : match.malformed;
}

std::int64_t evaluated_request::remaining() const noexcept {
  if (no_slot != nullptr) return 0;
  const int closest = http::closest_charge(charges, result);
  return closest >= 0 ? result.states[static_cast<std::size_t>(closest)].remaining : -1;
}

std::optional<std::string_view> evaluated_request::claim(std::string_view name) const {
  if (given_ == nullptr || given_->claims.empty()) return limited_request::claim(name);
  for (const auto& [known, value] : given_->claims) {
    if (known == name && !value.empty()) return value;
  }
  return std::nullopt;
}

// ---- the evaluator

evaluator::evaluator(std::shared_ptr<const proxy::settings> settings, limiter::store* store)
    : table_(std::make_shared<limiter::memory_table>(table_of(settings->store, now_us_))),
      store_(table_),
      limiter_(store != nullptr ? *store : store_, store_, 1, {.clock = [this] { return now_us_; }}) {
  compile_policy(std::move(settings), 0, policy_);
}

evaluator::~evaluator() = default;

/// What is given goes before what the head says; the head still counts for what is not given.
void evaluator::find_identity(evaluated_request& r) const {
  const given_identity* given = r.given_;
  if (given != nullptr && !given->claims.empty()) {
    r.attributes.claims = &r;
  } else {
    find_token(r, now_us_);
  }
  if (given != nullptr && given->user) {
    r.attributes.user = *given->user;
  } else {
    find_user(r);
  }
  if (given != nullptr && given->tier) {
    r.attributes.tier = *given->tier;
  } else {
    find_tier(r);
  }
}

bool evaluator::identify(evaluated_request& r, const described_request& described) {
  auto refused = read_request(r, r.raw_, described.peer, r.peer_text_);
  if (!refused) {
    find_identity(r);
    refused = find_route(r);
  }
  if (refused) refuse(r, record_decision::rejected, {refused->error, refused->reason});
  return !refused;
}

void evaluator::refuse(evaluated_request& r, record_decision verdict, const own_answer& answer) {
  r.verdict = verdict;
  r.reason = answer.reason;
  r.error = answer.error;
  r.status = answer_status(r, answer.error);
}

bool evaluator::prepare(evaluated_request& r, const described_request& described, std::int64_t now_us) {
  now_us_ = now_us;
  r.start(policy_, described);
  r.decided_us_ = now_us;
  const std::size_t lines = 2 + described.headers.size() + (described.host.empty() ? 0 : 1);
  if (r.head.scan(r.raw_) != http::scan_status::complete || !has_lines(r.raw_, lines)) {
    const int status = r.head.refusal().status;
    refuse(r, record_decision::rejected,
           {http::error_for_status(status != 0 ? status : 400),
            status != 0 ? r.head.refusal().type : std::string_view("bad_request")});
    return false;
  }
  if (!identify(r, described)) return false;
  r.attributes.now_us = now_us;
  switch (admit(r)) {
    case admission::ask:
      if (r.slot_match.charges.empty()) return true;
      r.holder_.assign("offline-");
      append_number(r.holder_, ++holders_);
      add_slot_charges(r, r.holder_);
      return true;
    case admission::exempt:
      return true;
    case admission::blocked:
      refuse(r, record_decision::blocked, {http::local_error::forbidden, r.listed->reason});
      return false;
    case admission::body_too_large:
      refuse(r, record_decision::rejected, {http::local_error::body_too_large, "body_too_large"});
      return false;
    case admission::unauthenticated:
      refuse(r, record_decision::deny, answer_to_unknown(r));
      return false;
    case admission::malformed:
      break;
  }
  refuse(r, record_decision::rejected, {http::local_error::bad_request, "repeated_key"});
  return false;
}

void evaluator::ask(evaluated_request& r, std::int64_t now_us) {
  now_us_ = r.decided_us_ = now_us;
  limiter_.decide(r);
  r.no_slot = r.result.no_slot;
  if (r.no_slot != nullptr) return refuse_without_slot(r, false);
  if (r.result.verdict == limiter::verdict::deny)
    return refuse(r, record_decision::deny, answer_to_denied(r, {}));
  r.verdict = admitted_as(r);
  r.reason = {};
  r.error.reset();
  r.status = 0;
  r.permit.emplace(r.take_permit());
  end_here(r);
}

void evaluator::refuse_without_slot(evaluated_request& r, bool waited) {
  r.result.retry_after_us = std::max<std::int64_t>(r.result.retry_after_us, 1'000'000);
  refuse(r, record_decision::deny, answer_without_slot(*r.no_slot, waited));
}

/// What is allowed and yet not forwarded: an OPTIONS without hops left, a request without a route.
void evaluator::end_here(evaluated_request& r) {
  if (r.head.hops == 0) {
    r.status = 200;
  } else if (!r.route) {
    r.error = http::local_error::no_route;
    r.reason = "no_route";
    r.status = answer_status(r, *r.error);
  }
  if (r.status == 0) return;
  r.permit->settle({r.status, true, {}});
  r.permit.reset();
}

void evaluator::decide(evaluated_request& r, const described_request& described, std::int64_t now_us) {
  if (prepare(r, described, now_us)) ask(r, now_us);
}

void evaluator::settle(evaluated_request& r, const described_response& response, std::int64_t now_us) {
  now_us_ = now_us;
  if (!r.permit) return;
  r.permit->release_slots();
  if (r.permit->owes()) {
    r.raw_response_.clear();
    append_head(r.raw_response_, response);
    r.response_.begin(r.head.method_id == http::method_id::head);
    if (r.response_.scan(r.raw_response_) == http::scan_status::complete) {
      r.meter_.begin(r.charges, r.response_, r.raw_response_);
      r.meter_.body(response.body);
      r.meter_.end(response.complete, response.request_bytes,
                   std::max<std::uint64_t>(response.body.size(), response.response_bytes));
    }
    const auto actual = [&r](const limiter::rule& matched) { return r.meter_.actual(matched); };
    r.permit->settle({response.status, response.complete, actual});
  }
  r.permit.reset();
}

}  // namespace weir::proxy::offline
