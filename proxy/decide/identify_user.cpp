// SPDX-License-Identifier: Apache-2.0
#include "proxy/decide/identify_user.hpp"

#include "proxy/identity/peer_names.hpp"

#include <algorithm>

namespace weir::proxy {
namespace {

/// Of a connection without a verified certificate there is none.
std::optional<std::string_view> name_in(const identity::peer_names* certificate, certificate_name which) {
  if (certificate == nullptr) return std::nullopt;
  const std::string& name = which == certificate_name::subject   ? certificate->subject
                            : which == certificate_name::san_dns ? certificate->san_dns
                                                                 : certificate->san_uri;
  return name.empty() ? std::nullopt : std::optional<std::string_view>(name);
}

bool is_user_alone(const limiter::rule& rule) noexcept {
  return rule.key.size() == 1 && limiter::is_user(rule.key.front());
}

std::optional<std::string_view> tier_of(const tier_source& source, limited_request& request) {
  if (!source.constant.empty()) return source.constant;
  if (source.trusted_only && !request.peer_trusted) return std::nullopt;
  const auto value = limiter::select(source.from, request.attributes, request.tier_storage);
  if (!value || !source.table) return value;
  const auto number = source.table->find(*value);
  return number ? std::optional<std::string_view>(source.names[*number]) : std::nullopt;
}

}  // namespace

void find_token(limited_request& request, std::int64_t wall_us) {
  identity::token_cache* tokens = request.policy->tokens.get();
  if (tokens == nullptr) return;
  const std::string& name = tokens->settings().header;
  const auto value = request.header(name);
  if (!value) return;
  const std::string_view text = identity::bearer_token(*value, name == "authorization");
  if (text.empty()) return;
  identity::jwt_verdict verdict = tokens->verify(text, wall_us);
  request.token = std::move(verdict.token);
  request.token_problem = verdict.problem;
  if (request.token) request.attributes.claims = &request;
}

void find_user(limited_request& request) {
  for (const user_source& source : request.policy->settings->users) {
    const auto value = source.certificate
                           ? name_in(request.certificate, *source.certificate)
                           : limiter::select(source.from, request.attributes, request.user_storage);
    if (!value) continue;
    request.attributes.user = value;
    request.user_from = &source;
    return;
  }
}

std::string_view shown_user(const limited_request& request, std::array<char, 16>& digits) {
  const auto& user = request.attributes.user;
  if (!user) return {};
  if (request.user_from == nullptr || !request.user_from->hash) return *user;
  identity::keyed_hasher& hashes = *request.policy->hashes;
  const auto& charges = request.charges;
  const auto known = std::find_if(charges.begin(), charges.end(),
                                  [](const limiter::charge& c) { return is_user_alone(*c.matched); });
  digits = identity::to_hex(known != charges.end() ? hashes.of(known->subject) : hashes.of_user(*user));
  return {digits.data(), digits.size()};
}

void find_tier(limited_request& request) {
  for (const tier_source& source : request.policy->settings->tiers) {
    request.attributes.tier = tier_of(source, request);
    if (request.attributes.tier) return;
  }
}

}  // namespace weir::proxy
