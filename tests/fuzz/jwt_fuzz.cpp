// SPDX-License-Identifier: Apache-2.0
// Tokens from hostile text. The input is read as a token as it stands, and its lines as header and payload of
// one that is rightly signed: what is then accepted must be an object with one reading, by an independent
// parser, whose subject is a text that is not empty.
#include "../support/jwt_maker.hpp"
#include "proxy/identity/jwt.hpp"

#include <boost/json.hpp>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

using namespace weir::identity;
using weir::test::require;

namespace {

constexpr std::int64_t now_us = 1'800'000'000'000'000;
constexpr std::string_view secret = "a secret of 32 bytes or some more";

const jwt_settings& settings() {
  static const jwt_settings made = [] {
    jwt_settings s;
    s.keys = jwt_keys::from_secret(secret, std::vector<std::string>{"HS256"}).keys;
    s.require_exp = false;
    return s;
  }();
  return made;
}

const std::vector<std::string> asked{"sub", "org"};

std::string sign(std::string_view input) {
  return weir::test::hmac(secret, "HS256", input);
}

void check_accepted(std::string_view header, std::string_view payload, const verified_token& token) {
  boost::system::error_code failed;
  const auto head = boost::json::parse({header.data(), header.size()}, failed);
  if (failed == boost::json::error::exponent_overflow)
    return;  // 0e999...: JSON, and 0, but not to that parser
  require(!failed && head.is_object() && head.as_object().at("alg").as_string() == "HS256");
  require(head.as_object().if_contains("crit") == nullptr);
  const auto body = boost::json::parse({payload.data(), payload.size()}, failed);
  if (failed == boost::json::error::exponent_overflow) return;
  require(!failed && body.is_object());
  const boost::json::value* sub = body.as_object().if_contains("sub");
  require((sub != nullptr) == token.claim("sub").has_value());
  if (sub != nullptr) {
    require(sub->is_string() && !sub->as_string().empty() &&
            token.claim("sub") == std::string_view(sub->as_string()));
  }
  require(token.valid_from_us <= now_us && now_us < token.valid_until_us);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const jwt_verdict plain = verify_jwt(text, settings(), asked, now_us);
  require((plain.token == nullptr) == (plain.problem != jwt_problem::none));
  require(bearer_token(text, true).size() <= text.size());

  static const std::vector<std::string> algorithms{"RS256", "ES256", "HS256"};
  (void)jwt_keys::from_jwks(text, algorithms);

  const std::size_t end = text.find('\n');
  const std::string_view header = text.substr(0, end);
  const std::string_view payload = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  const jwt_verdict made =
      verify_jwt(weir::test::make_token(header, payload, sign), settings(), asked, now_us);
  require(made.problem != jwt_problem::signature);
  if (made.token) check_accepted(header, payload, *made.token);
  return 0;
}
