// SPDX-License-Identifier: Apache-2.0
#include "proxy/downstream/active_request.hpp"

namespace weir::proxy {

void active_request::begin(decision_listener& listener, std::shared_ptr<const compiled_config> current,
                           std::int64_t now_us) {
  listener_ = &listener;
  config = std::move(current);
  const limit_settings& limits = config->settings->limits;
  head.begin({limits.target_size, limits.header_size, limits.field_size, limits.header_count});
  attributes = {};
  attributes.headers = this;
  target = {};
  charges.clear();
  here.clear();
  result = {};
  to_client.reset();
  to_client.clear_total();
  to_upstream.reset();
  to_upstream.clear_total();
  body.begin(http::framing::none, 0, 0);
  for (std::string* text :
       {&path_storage, &host, &client_ip, &client_group, &user_hash, &request_id, &rate_fields}) {
    text->clear();
  }
  identity_values.clear();
  route.reset();
  peer_trusted = false;
  certificate = nullptr;
  token.reset();
  token_problem = identity::jwt_problem::none;
  listed = nullptr;
  query_shown.clear();
  for (limiter::match_result* old : {&match, &slot_match}) {
    old->charges.clear();
    old->unauthenticated = old->malformed = nullptr;
  }
  verdict = record_decision::rejected;
  reason = upstream_addr = upgrade = {};
  status = attempts = 0;
  raw_bytes_in = bytes_out = 0;
  started_us = now_us;
  limiter_us = upstream_us = queue_us = -1;
  holder.clear();
  no_slot = nullptr;
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

std::optional<std::string_view> active_request::header(std::string_view lower_case_name) const {
  const std::vector<std::string>& names = config->identity_headers;
  for (std::size_t i = 0; i < names.size() && i < identity_values.size(); ++i) {
    if (names[i] == lower_case_name) {
      return identity_values[i].empty() ? std::nullopt : std::optional(identity_values[i]);
    }
  }
  return std::nullopt;
}

}  // namespace weir::proxy
