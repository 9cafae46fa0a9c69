// SPDX-License-Identifier: Apache-2.0
#include "proxy/downstream/active_request.hpp"

namespace weir::proxy {

void active_request::begin(decision_listener& listener, std::shared_ptr<const compiled_config> current,
                           std::int64_t now_us) {
  listener_ = &listener;
  config = std::move(current);
  limited_request::begin(*config);
  to_client.reset();
  to_client.clear_total();
  to_upstream.reset();
  to_upstream.clear_total();
  body.begin(http::framing::none, 0, 0);
  for (std::string* text : {&request_id, &rate_fields, &query_shown}) text->clear();
  verdict = record_decision::rejected;
  reason = upstream_addr = upgrade = {};
  status = attempts = 0;
  raw_bytes_in = bytes_out = 0;
  started_us = now_us;
  limiter_us = upstream_us = queue_us = -1;
  holder.clear();
  slot_may_be_free = in_flight = false;
}

void active_request::end() noexcept {
  place.leave();
  lease.leave();
  permit.reset();
  meter.reset();
  token.reset();
  config.reset();
}

}  // namespace weir::proxy
