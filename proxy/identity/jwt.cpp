// SPDX-License-Identifier: Apache-2.0
#include "proxy/identity/jwt.hpp"

#include "proxy/identity/base64url.hpp"
#include "proxy/identity/strict_json.hpp"

#include <algorithm>
#include <array>
#include <limits>

namespace weir::identity {
namespace {

constexpr std::int64_t second_us = 1'000'000;
constexpr std::int64_t for_ever = std::numeric_limits<std::int64_t>::max();

struct token_parts {
  std::string header, payload;  // decoded
  std::size_t signature_size = 0;
};

/// Header, payload and signature, each present and in strict base64url. An unsigned token (a last part that
/// is empty) is malformed, too.
std::optional<token_parts> split(std::string_view token) {
  if (token.size() > jwt_size_max) return std::nullopt;
  const auto first = token.find('.');
  if (first == std::string_view::npos) return std::nullopt;
  const auto second = token.find('.', first + 1);
  if (second == std::string_view::npos || token.find('.', second + 1) != std::string_view::npos)
    return std::nullopt;
  token_parts parts;
  std::string signature;
  const bool strict = append_base64url(parts.header, token.substr(0, first)) &&
                      append_base64url(parts.payload, token.substr(first + 1, second - first - 1)) &&
                      append_base64url(signature, token.substr(second + 1));
  if (!strict || parts.header.empty() || parts.payload.empty() || signature.empty()) return std::nullopt;
  parts.signature_size = signature.size();
  return parts;
}

/// Everything of the header that matters: `jwk`, `jku` and `x5*` are not among it, and no extension is known
/// that `crit` could name.
jwt_problem judge_header(const token_parts& parts, std::string_view token, const jwt_settings& settings) {
  const json_owner header = parse_object(parts.header);
  if (!header || json_object_get(header.get(), "crit") != nullptr) return jwt_problem::malformed;
  if (!settings.keys) return jwt_problem::none;
  const std::string_view algorithm = text_member(header.get(), "alg");
  const std::string_view kid = text_member(header.get(), "kid");
  if (kid.data() == nullptr && json_object_get(header.get(), "kid") != nullptr) return jwt_problem::malformed;
  if (!settings.keys->fits(algorithm, kid)) return jwt_problem::algorithm;
  const bool valid = settings.keys->verify(token, algorithm, kid, parts.signature_size);
  return valid ? jwt_problem::none : jwt_problem::signature;
}

/// Unix seconds, whole or not, as microseconds; what is too large means for ever. Nothing: no such number.
std::optional<std::int64_t> read_time(const json_t* value) noexcept {
  constexpr std::int64_t most_s = for_ever / second_us;
  if (json_is_integer(value)) {
    const std::int64_t seconds = json_integer_value(value);
    if (seconds < 0) return std::nullopt;
    return seconds >= most_s ? for_ever : seconds * second_us;
  }
  if (!json_is_real(value)) return std::nullopt;
  const double seconds = json_real_value(value);
  if (!(seconds >= 0)) return std::nullopt;
  if (seconds >= static_cast<double>(most_s)) return for_ever;
  return static_cast<std::int64_t>(seconds * static_cast<double>(second_us));
}

jwt_problem judge_times(const json_t* payload, const jwt_settings& settings, std::int64_t now_us,
                        verified_token& out) {
  const std::int64_t leeway_us = std::chrono::microseconds{settings.leeway}.count();
  const json_t* expires = json_object_get(payload, "exp");
  const json_t* not_before = json_object_get(payload, "nbf");
  if (expires == nullptr && settings.require_exp) return jwt_problem::claims;
  const auto exp = expires != nullptr ? read_time(expires) : for_ever;
  const auto nbf = not_before != nullptr ? read_time(not_before) : 0;
  if (!exp || !nbf) return jwt_problem::claims;
  out.valid_until_us = *exp > for_ever - leeway_us ? for_ever : *exp + leeway_us;
  out.valid_from_us = *nbf - leeway_us;
  if (now_us >= out.valid_until_us) return jwt_problem::expired;
  return now_us < out.valid_from_us ? jwt_problem::not_yet : jwt_problem::none;
}

jwt_problem judge_issuer(const json_t* payload, const std::string& issuer) {
  if (issuer.empty()) return jwt_problem::none;
  return text_member(payload, "iss") == issuer ? jwt_problem::none : jwt_problem::issuer;
}

/// A text or a list of texts (RFC 7519 4.1.3).
jwt_problem judge_audience(const json_t* payload, const std::string& audience) {
  if (audience.empty()) return jwt_problem::none;
  const json_t* aud = json_object_get(payload, "aud");
  if (!json_is_array(aud))
    return text_member(payload, "aud") == audience ? jwt_problem::none : jwt_problem::audience;
  bool found = false;
  for (std::size_t i = 0; i < json_array_size(aud); ++i) {
    const json_t* item = json_array_get(aud, i);
    if (!json_is_string(item)) return jwt_problem::claims;
    found = found || audience == std::string_view(json_string_value(item), json_string_length(item));
  }
  return found ? jwt_problem::none : jwt_problem::audience;
}

jwt_problem judge_subject(const json_t* payload) {
  if (json_object_get(payload, "sub") == nullptr) return jwt_problem::none;
  return text_member(payload, "sub").empty() ? jwt_problem::claims : jwt_problem::none;
}

/// Empty: absent for whoever asks.
std::string claim_text(const json_t* value) {
  if (json_is_string(value)) return {json_string_value(value), json_string_length(value)};
  if (json_is_integer(value)) return std::to_string(json_integer_value(value));
  if (json_is_boolean(value)) return json_is_true(value) ? "true" : "false";
  return {};
}

void collect_claims(const json_t* payload, std::span<const std::string> names, verified_token& out) {
  for (const std::string& name : names) {
    std::string text = claim_text(json_object_getn(payload, name.data(), name.size()));
    if (!text.empty()) out.claims.emplace_back(name, std::move(text));
  }
}

}  // namespace

std::string_view to_reason(jwt_problem problem) noexcept {
  static constexpr std::array<std::string_view, 9> reasons{"",
                                                           "token_malformed",
                                                           "token_algorithm",
                                                           "token_signature",
                                                           "token_expired",
                                                           "token_not_yet",
                                                           "token_issuer",
                                                           "token_audience",
                                                           "token_claims"};
  return reasons[static_cast<std::size_t>(problem)];
}

std::optional<std::string_view> verified_token::claim(std::string_view name) const noexcept {
  for (const auto& [known, value] : claims) {
    if (known == name) return value;
  }
  return std::nullopt;
}

jwt_verdict verify_jwt(std::string_view token, const jwt_settings& settings,
                       std::span<const std::string> claim_names, std::int64_t now_us) {
  const auto parts = split(token);
  if (!parts) return {nullptr, jwt_problem::malformed};
  if (const auto problem = judge_header(*parts, token, settings); problem != jwt_problem::none)
    return {nullptr, problem};
  const json_owner payload = parse_object(parts->payload);
  if (!payload) return {nullptr, jwt_problem::malformed};
  auto verified = std::make_shared<verified_token>();
  for (const jwt_problem problem :
       {judge_times(payload.get(), settings, now_us, *verified), judge_issuer(payload.get(), settings.issuer),
        judge_audience(payload.get(), settings.audience), judge_subject(payload.get())}) {
    if (problem != jwt_problem::none) return {nullptr, problem};
  }
  collect_claims(payload.get(), claim_names, *verified);
  return {std::move(verified), jwt_problem::none};
}

std::string_view bearer_token(std::string_view value, bool scheme_required) noexcept {
  constexpr std::string_view scheme = "bearer";
  const bool named = value.size() > scheme.size() && value[scheme.size()] == ' ' &&
                     std::equal(scheme.begin(), scheme.end(), value.begin(),
                                [](char lower, char c) { return lower == (c | 0x20); });
  if (!named) return scheme_required ? std::string_view{} : value;
  const auto start = value.find_first_not_of(' ', scheme.size());
  return start == std::string_view::npos ? std::string_view{} : value.substr(start);
}

}  // namespace weir::identity
