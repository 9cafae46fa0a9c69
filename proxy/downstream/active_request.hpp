// SPDX-License-Identifier: Apache-2.0
// Everything about the one request a session is working on. Borrowed from the worker's pool while it is
// active, so that an idle connection holds none of it and a busy one allocates nothing.
#pragma once

#include "proxy/decide/limited_request.hpp"
#include "proxy/downstream/body_reader.hpp"
#include "proxy/downstream/outgoing.hpp"
#include "proxy/observe/access_record.hpp"
#include "proxy/runtime/compiled_config.hpp"
#include "proxy/settle/cost_meter.hpp"
#include "proxy/slots/slot_desk.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::proxy {

/// Told when the limiter has decided.
class decision_listener {
 public:
  virtual void on_decision() = 0;

 protected:
  ~decision_listener() = default;
};

class active_request final : public limited_request {
 public:
  /// Ready for the next request of `listener`; keeps every buffer's capacity.
  void begin(decision_listener& listener, std::shared_ptr<const compiled_config> config, std::int64_t now_us);
  /// Gives up what it holds of others before it goes back to the pool.
  void end() noexcept;

  /// Of an allowed request, until it is settled.
  std::optional<limiter::permit> permit;
  settle::cost_meter meter;  ///< what its response costs
  slots::lease_entry lease;  ///< renews the slots of the permit

  /// The last part of the response is about to leave: whoever waits for it may come back with another
  /// request.
  void release_slots() noexcept {
    lease.leave();
    if (permit) permit->release_slots();
  }

  // a request that waits for a slot
  slots::waiting_place place;
  std::string holder;                ///< who holds its slots
  std::int64_t queued_since_us = 0;  ///< of the line it is in
  std::int64_t queue_deadline_us = 0;
  std::int64_t try_again_us = 0;  ///< when it is first in its line
  bool slot_may_be_free = false;
  bool in_flight = false;  ///< counted among the requests of its limits

  http::response_head response;
  std::shared_ptr<const compiled_config> config;

  body_reader body;      ///< from the client
  outgoing to_client;    ///< response head and body slices
  outgoing to_upstream;  ///< request head and body slices

  std::string query_shown;  ///< of a query with values that the log must not show
  std::string referer_shown;
  std::vector<logged_field> fields_shown;
  std::string request_id;
  std::string rate_fields;   ///< rendered RateLimit lines for the response
  std::string_view upgrade;  ///< the protocol it may switch to; empty: none

  // for the record
  record_decision verdict = record_decision::rejected;
  std::string_view reason;  ///< static text
  std::string_view upstream_addr;
  int status = 0;
  int attempts = 0;
  std::uint64_t raw_bytes_in = 0;  ///< from the client after a 101
  std::uint64_t bytes_out = 0;
  std::int64_t started_us = 0;  ///< first byte of the head
  std::int64_t limiter_us = -1;
  std::int64_t upstream_us = -1;
  std::int64_t queue_us = -1;  ///< all waits for slots

  [[nodiscard]] std::uint64_t bytes_in() const noexcept { return body.received() + raw_bytes_in; }

 private:
  [[nodiscard]] std::shared_ptr<const void> rules_owner() const override { return config; }
  void on_decision() override { listener_->on_decision(); }
  decision_listener* listener_ = nullptr;
};

/// Recycles requests; one per worker.
class request_pool {
 public:
  static constexpr std::size_t max_kept = 256;
  request_pool() { kept_.reserve(max_kept); }  // so that give() allocates nothing
  [[nodiscard]] std::unique_ptr<active_request> take() {
    if (kept_.empty()) return std::unique_ptr<active_request>(new active_request);
    std::unique_ptr<active_request> request = std::move(kept_.back());
    kept_.pop_back();
    return request;
  }
  void give(std::unique_ptr<active_request> request) {
    request->end();
    if (kept_.size() < max_kept) kept_.push_back(std::move(request));
  }
  /// Frees those that are kept.
  void drop_kept() noexcept { kept_.clear(); }

 private:
  std::vector<std::unique_ptr<active_request>> kept_;
};

}  // namespace weir::proxy
