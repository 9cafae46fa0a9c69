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
  for (limiter::charge_list* list : {&charges, &here}) limiter::forget(*list);
  result = {};
  for (std::string* text : {&client_ip_storage, &client_group_storage}) text->clear();
  client_ip = client_group = {};
  identity_values.clear();
  route.reset();
  peer_trusted = false;
  certificate = nullptr;
  token.reset();
  token_problem = identity::jwt_problem::none;
  user_from = nullptr;
  listed = nullptr;
  no_slot = nullptr;
  for (limiter::match_result* old : {&match, &slot_match}) old->clear();
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
  const std::span<const std::string> names = policy->identity_headers.all();
  for (std::size_t i = 0; i < names.size() && i < identity_values.size(); ++i) {
    if (names[i] == lower_case_name) {
      return identity_values[i].empty() ? std::nullopt : std::optional(identity_values[i]);
    }
  }
  return std::nullopt;
}

}  // namespace weir::proxy
