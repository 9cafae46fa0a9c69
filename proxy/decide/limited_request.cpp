// SPDX-License-Identifier: Apache-2.0
#include "proxy/decide/limited_request.hpp"

namespace weir::proxy {

void limited_request::begin(const compiled_policy& current) {
  policy = &current;
  const limit_settings& limits = current.settings->limits;
  head.begin({limits.target_size, limits.header_size, limits.field_size, limits.header_count});
  attributes = {};
  attributes.headers = this;
  target = {};
  charges.clear();
  here.clear();
  result = {};
  for (std::string* text : {&path_storage, &host, &client_ip, &client_group}) text->clear();
  identity_values.clear();
  route.reset();
  peer_trusted = false;
  certificate = nullptr;
  token.reset();
  token_problem = identity::jwt_problem::none;
  user_from = nullptr;
  listed = nullptr;
  no_slot = nullptr;
  for (limiter::match_result* old : {&match, &slot_match}) {
    old->charges.clear();
    old->unlimited.clear();
    old->unauthenticated = old->malformed = nullptr;
  }
}

std::int64_t limited_request::slots_at_most() const noexcept {
  for (const limiter::charge_list* list : {&here, &charges}) {
    for (const limiter::charge& c : *list) {
      if (c.matched == no_slot) return c.quota().limit;
    }
  }
  return no_slot->quota.limit;
}

std::optional<std::string_view> limited_request::header(std::string_view lower_case_name) const {
  const std::vector<std::string>& names = policy->identity_headers;
  for (std::size_t i = 0; i < names.size() && i < identity_values.size(); ++i) {
    if (names[i] == lower_case_name) {
      return identity_values[i].empty() ? std::nullopt : std::optional(identity_values[i]);
    }
  }
  return std::nullopt;
}

}  // namespace weir::proxy
