// SPDX-License-Identifier: Apache-2.0
#include "proxy/downstream/identify_user.hpp"

#include "proxy/identity/user_hash.hpp"
#include "proxy/runtime/clock.hpp"
#include "proxy/tls/peer_names.hpp"

namespace weir::proxy {
namespace {

void find_token(active_request& request) {
  identity::token_cache* tokens = request.config->tokens.get();
  if (tokens == nullptr) return;
  const std::string& name = tokens->settings().header;
  const auto value = request.header(name);
  if (!value) return;
  const std::string_view text = identity::bearer_token(*value, name == "authorization");
  if (text.empty()) return;
  identity::jwt_verdict verdict = tokens->verify(text, wall_now_us());
  request.token = std::move(verdict.token);
  request.token_problem = verdict.problem;
  if (request.token) request.attributes.claims = &request;
}

/// Of a connection without a verified certificate there is none.
std::optional<std::string_view> name_in(const tls::peer_names* certificate, certificate_name which) {
  if (certificate == nullptr) return std::nullopt;
  const std::string& name = which == certificate_name::subject   ? certificate->subject
                            : which == certificate_name::san_dns ? certificate->san_dns
                                                                 : certificate->san_uri;
  return name.empty() ? std::nullopt : std::optional<std::string_view>(name);
}

/// The first source that yields a value wins.
void find_user(active_request& request) {
  for (const user_source& source : request.config->settings->users) {
    const auto value = source.certificate
                           ? name_in(request.certificate, *source.certificate)
                           : limiter::select(source.from, request.attributes, request.user_storage);
    if (!value) continue;
    request.attributes.user = value;
    if (source.hash) {
      identity::append_user_hash(request.user_hash, request.config->settings->hash_key, *value);
    } else {
      request.user_hash = *value;
    }
    return;
  }
}

std::optional<std::string_view> tier_of(const tier_source& source, active_request& request) {
  if (!source.constant.empty()) return source.constant;
  if (source.trusted_only && !request.peer_trusted) return std::nullopt;
  const auto value = limiter::select(source.from, request.attributes, request.tier_storage);
  if (!value || !source.table) return value;
  const auto number = source.table->find(*value);
  return number ? std::optional<std::string_view>(source.names[*number]) : std::nullopt;
}

void find_tier(active_request& request) {
  for (const tier_source& source : request.config->settings->tiers) {
    request.attributes.tier = tier_of(source, request);
    if (request.attributes.tier) return;
  }
}

}  // namespace

void find_user_and_tier(active_request& request) {
  find_token(request);
  find_user(request);
  find_tier(request);
}

}  // namespace weir::proxy
