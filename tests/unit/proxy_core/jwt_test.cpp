// SPDX-License-Identifier: Apache-2.0
// What a token may look like, and every known way to make one look like more than it is.
#include "proxy/identity/jwt.hpp"

#include "../../support/jwt_maker.hpp"
#include "proxy/identity/token_cache.hpp"

#include <doctest/doctest.h>
#include <vector>

using namespace weir::identity;
using weir::test::base64url;
using weir::test::hmac;
using weir::test::key_pair;
using weir::test::make_token;

namespace {

constexpr std::int64_t now_s = 1'800'000'000;
constexpr std::int64_t now_us = now_s * 1'000'000;
const std::string secret = "a secret of the issuer, of 48 bytes and some more";
const std::string victim = R"({"sub":"victim","exp":1800000060})";
const std::vector<std::string> asked{"sub", "org", "level", "beta", "list"};

const key_pair& rsa_key() {
  static const key_pair key = key_pair::rsa(2048);
  return key;
}
const key_pair& other_rsa_key() {
  static const key_pair key = key_pair::rsa(2048);
  return key;
}
const key_pair& ec_key() {
  static const key_pair key = key_pair::ec("P-256");
  return key;
}

std::shared_ptr<const jwt_keys> jwks(const std::string& keys, const std::vector<std::string>& algorithms) {
  auto loaded = jwt_keys::from_jwks("{\"keys\":[" + keys + "]}", algorithms);
  REQUIRE_MESSAGE(loaded.keys, loaded.problem);
  return loaded.keys;
}

jwt_settings with_secret(const std::vector<std::string>& algorithms = {"HS256"}) {
  auto loaded = jwt_keys::from_secret(secret, algorithms);
  REQUIRE_MESSAGE(loaded.keys, loaded.problem);
  jwt_settings settings;
  settings.keys = loaded.keys;
  return settings;
}

/// An RSA key for RS256 under the name `rsa` and an EC key for ES256 under the name `ec`.
jwt_settings with_jwks() {
  jwt_settings settings;
  settings.keys =
      jwks(rsa_key().jwk(R"(,"kid":"rsa","alg":"RS256","use":"sig")") + "," + ec_key().jwk(R"(,"kid":"ec")"),
           {"RS256", "ES256"});
  return settings;
}

std::string hs256(std::string_view payload, std::string_view header = R"({"alg":"HS256","typ":"JWT"})") {
  return make_token(header, payload, [](std::string_view input) { return hmac(secret, "HS256", input); });
}

std::string signed_by(const key_pair& key, std::string_view algorithm, const std::string& more = {},
                      std::string_view payload = victim) {
  return make_token(R"({"alg":")" + std::string(algorithm) + "\"" + more + "}", payload,
                    [&](std::string_view input) { return key.sign(algorithm, input); });
}

std::string with_signature(std::string_view header, std::string_view payload, std::string_view signature) {
  return make_token(header, payload, [&](std::string_view) { return std::string(signature); });
}

jwt_verdict judge(const std::string& token, const jwt_settings& settings, std::int64_t at_us = now_us) {
  return verify_jwt(token, settings, asked, at_us);
}

std::string outcome(const std::string& token, const jwt_settings& settings, std::int64_t at_us = now_us) {
  const jwt_verdict verdict = judge(token, settings, at_us);
  REQUIRE((verdict.token != nullptr) == (verdict.problem == jwt_problem::none));
  return verdict.token ? "valid" : std::string(to_reason(verdict.problem));
}

std::string sub_of(const std::string& token, const jwt_settings& settings) {
  const jwt_verdict verdict = judge(token, settings);
  return verdict.token ? std::string(verdict.token->claim("sub").value_or("(none)")) : "(invalid)";
}

std::string nested(int depth) {
  return std::string(static_cast<std::size_t>(depth), '[') +
         std::string(static_cast<std::size_t>(depth), ']');
}

std::string with_sub(const std::string& json) {
  return hs256(R"({"exp":1800000060,"sub":)" + json + "}");
}

struct attack {
  const char* what;
  std::string token;
  const char* expected;
};

void check_all(const std::vector<attack>& attacks, const jwt_settings& settings) {
  for (const attack& a : attacks) {
    CAPTURE(a.what);
    CHECK(outcome(a.token, settings) == a.expected);
  }
}

}  // namespace

TEST_CASE("a token signed by the configured key names its subject") {
  CHECK(sub_of(hs256(victim), with_secret()) == "victim");
  CHECK(sub_of(signed_by(rsa_key(), "RS256", R"(,"kid":"rsa")"), with_jwks()) == "victim");
  CHECK(sub_of(signed_by(rsa_key(), "RS256"), with_jwks()) == "victim");  // no kid: any key of that algorithm
  CHECK(sub_of(signed_by(ec_key(), "ES256", R"(,"kid":"ec")"), with_jwks()) == "victim");
}

TEST_CASE("every algorithm verifies what it signed") {
  for (const char* algorithm : {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}) {
    CAPTURE(algorithm);
    jwt_settings settings;
    settings.keys = jwks(rsa_key().jwk(), {algorithm});
    CHECK(outcome(signed_by(rsa_key(), algorithm), settings) == "valid");
    CHECK(outcome(signed_by(other_rsa_key(), algorithm), settings) == "token_signature");
  }
  const std::pair<const char*, const char*> curves[] = {
      {"ES256", "P-256"}, {"ES384", "P-384"}, {"ES512", "P-521"}};
  for (const auto& [algorithm, curve] : curves) {
    CAPTURE(algorithm);
    const key_pair key = key_pair::ec(curve);
    jwt_settings settings;
    settings.keys = jwks(key.jwk(), {algorithm});
    CHECK(outcome(signed_by(key, algorithm), settings) == "valid");
    CHECK(outcome(signed_by(key_pair::ec(curve), algorithm), settings) == "token_signature");
  }
  const std::string long_secret(64, 's');
  for (const char* algorithm : {"HS256", "HS384", "HS512"}) {
    CAPTURE(algorithm);
    jwt_settings settings;
    settings.keys = jwt_keys::from_secret(long_secret, std::vector<std::string>{algorithm}).keys;
    REQUIRE(settings.keys);
    const auto token = make_token(R"({"alg":")" + std::string(algorithm) + "\"}", victim,
                                  [&](auto input) { return hmac(long_secret, algorithm, input); });
    CHECK(outcome(token, settings) == "valid");
  }
}

TEST_CASE("no token chooses its algorithm") {
  const auto unsigned_token = [](const char* alg) {
    return base64url(std::string(R"({"alg":")") + alg + "\"}") + "." + base64url(victim) + ".";
  };
  check_all(
      {
          {"alg none without a signature", unsigned_token("none"), "token_malformed"},
          {"alg none with a signature", with_signature(R"({"alg":"none"})", victim, "x"), "token_algorithm"},
          {"alg None", with_signature(R"({"alg":"None"})", victim, "x"), "token_algorithm"},
          {"alg NONE", with_signature(R"({"alg":"NONE"})", victim, "x"), "token_algorithm"},
          {"no alg", hs256(victim, "{}"), "token_algorithm"},
          {"alg empty", hs256(victim, R"({"alg":""})"), "token_algorithm"},
          {"alg in lower case", hs256(victim, R"({"alg":"hs256"})"), "token_algorithm"},
          {"alg with a space", hs256(victim, R"({"alg":"HS256 "})"), "token_algorithm"},
          {"alg a list", hs256(victim, R"({"alg":["HS256"]})"), "token_algorithm"},
          {"alg a number", hs256(victim, R"({"alg":256})"), "token_algorithm"},
          {"alg unlisted but of the right kind", hs256(victim, R"({"alg":"HS384"})"), "token_algorithm"},
          {"alg with NUL", hs256(victim, R"({"alg":"HS256\u0000"})"), "token_malformed"},
          {"alg twice", hs256(victim, R"({"alg":"none","alg":"HS256"})"), "token_malformed"},
          {"Alg beside alg is another member", hs256(victim, R"({"Alg":"none","alg":"HS256"})"), "valid"},
          {"alg behind an escape is alg, twice", hs256(victim, R"({"\u0061lg":"none","alg":"HS256"})"),
           "token_malformed"},
      },
      with_secret());
}

TEST_CASE("an RSA key never verifies an HMAC, and an algorithm never takes another key's place") {
  const jwt_settings settings = with_jwks();
  const std::string public_key = rsa_key().jwk(R"(,"kid":"rsa","alg":"RS256","use":"sig")");
  const auto confused = make_token(R"({"alg":"HS256","kid":"rsa"})", victim,
                                   [&](auto input) { return hmac(public_key, "HS256", input); });
  check_all(
      {
          {"HS256 keyed with the public RSA key", confused, "token_algorithm"},
          {"PS256 by a key pinned to RS256", signed_by(rsa_key(), "PS256", R"(,"kid":"rsa")"),
           "token_algorithm"},
          {"RS512 by a key pinned to RS256", signed_by(rsa_key(), "RS512", R"(,"kid":"rsa")"),
           "token_algorithm"},
          {"ES256 under the name of the RSA key", signed_by(ec_key(), "ES256", R"(,"kid":"rsa")"),
           "token_algorithm"},
          {"RS256 under the name of the EC key", signed_by(rsa_key(), "RS256", R"(,"kid":"ec")"),
           "token_algorithm"},
          {"ES384 by a P-256 key", signed_by(ec_key(), "ES384", R"(,"kid":"ec")"), "token_algorithm"},
          {"header relabelled after signing",
           with_signature(R"({"alg":"ES256"})", victim,
                          rsa_key().sign("RS256", base64url(R"({"alg":"ES256"})") + "." + base64url(victim))),
           "token_signature"},
      },
      settings);
}

TEST_CASE("what a header says about keys chooses none") {
  const jwt_settings settings = with_jwks();
  const std::string own = other_rsa_key().jwk();
  check_all(
      {
          {"embedded key", signed_by(other_rsa_key(), "RS256", R"(,"jwk":)" + own), "token_signature"},
          {"jku", signed_by(other_rsa_key(), "RS256", R"(,"jku":"https://evil.example/keys")"),
           "token_signature"},
          {"x5u", signed_by(other_rsa_key(), "RS256", R"(,"x5u":"https://evil.example/c")"),
           "token_signature"},
          {"x5c", signed_by(other_rsa_key(), "RS256", R"(,"x5c":["MIIB"])"), "token_signature"},
          {"x5t", signed_by(other_rsa_key(), "RS256", R"(,"x5t":"abc")"), "token_signature"},
          {"jwk beside a good signature", signed_by(rsa_key(), "RS256", R"(,"jwk":)" + own), "valid"},
          {"unknown kid", signed_by(rsa_key(), "RS256", R"(,"kid":"other")"), "token_algorithm"},
          {"kid in another case", signed_by(rsa_key(), "RS256", R"(,"kid":"RSA")"), "token_algorithm"},
          {"empty kid", signed_by(rsa_key(), "RS256", R"(,"kid":"")"), "token_algorithm"},
          {"kid is a path", signed_by(rsa_key(), "RS256", R"(,"kid":"../../dev/null")"), "token_algorithm"},
          {"kid is SQL", signed_by(rsa_key(), "RS256", R"(,"kid":"x' UNION SELECT 'k")"), "token_algorithm"},
          {"kid a number", signed_by(rsa_key(), "RS256", R"(,"kid":1)"), "token_malformed"},
          {"kid null", signed_by(rsa_key(), "RS256", R"(,"kid":null)"), "token_malformed"},
          {"crit", signed_by(rsa_key(), "RS256", R"(,"crit":["exp"],"exp":1)"), "token_malformed"},
          {"crit b64", signed_by(rsa_key(), "RS256", R"(,"b64":false,"crit":["b64"])"), "token_malformed"},
          {"crit empty", signed_by(rsa_key(), "RS256", R"(,"crit":[])"), "token_malformed"},
          {"crit null", signed_by(rsa_key(), "RS256", R"(,"crit":null)"), "token_malformed"},
      },
      settings);
}

TEST_CASE("a signature covers every byte") {
  const std::string good = hs256(victim);
  const auto first = good.find('.'), second = good.rfind('.');
  const std::string header = good.substr(0, first), payload = good.substr(first + 1, second - first - 1),
                    signature = good.substr(second + 1);
  const std::string other = base64url(R"({"sub":"attacker","exp":1800000060})");
  std::string flipped = signature;
  flipped[0] = flipped[0] == 'A' ? 'B' : 'A';
  std::string loose = signature;  // 32 bytes leave two unused bits in the last character
  loose.back() = static_cast<char>(loose.back() + 1);
  check_all(
      {
          {"another payload", header + "." + other + "." + signature, "token_signature"},
          {"a flipped bit", header + "." + payload + "." + flipped, "token_signature"},
          {"a short signature", header + "." + payload + "." + signature.substr(0, 40), "token_signature"},
          {"a longer signature",
           header + "." + payload + "." + base64url(hmac(secret, "HS256", header + "." + payload) + "x"),
           "token_signature"},
          {"unused bits of the last character", header + "." + payload + "." + loose, "token_malformed"},
          {"an empty signature", header + "." + payload + ".", "token_malformed"},
          {"two parts", header + "." + payload, "token_malformed"},
          {"four parts", good + "." + signature, "token_malformed"},
          {"five parts, an encrypted token", header + "." + payload + "..." + signature, "token_malformed"},
          {"an empty header", "." + payload + "." + signature, "token_malformed"},
          {"an empty payload", header + ".." + signature, "token_malformed"},
          {"padding", header + "." + payload + "." + signature + "=", "token_malformed"},
          {"white space inside", header + "." + payload + ". " + signature, "token_malformed"},
          {"a line end behind", good + "\n", "token_malformed"},
          {"the standard alphabet", header + "." + payload + "." + "+/" + signature.substr(2),
           "token_malformed"},
          {"an impossible length", header + "." + payload + "." + signature + "AA", "token_malformed"},
          {"no token at all", "", "token_malformed"},
          {"dots alone", "..", "token_malformed"},
      },
      with_secret());
}

TEST_CASE("JSON that two readers could read differently is refused") {
  check_all(
      {
          {"sub twice", hs256(R"({"sub":"attacker","sub":"victim","exp":1800000060})"), "token_malformed"},
          {"exp twice", hs256(R"({"sub":"a","exp":1,"exp":1800000060})"), "token_malformed"},
          {"a member twice, further in", hs256(R"({"sub":"a","exp":1800000060,"x":{"y":1,"y":2}})"),
           "token_malformed"},
          {"16 levels", hs256(R"({"sub":"a","exp":1800000060,"x":)" + nested(15) + "}"), "valid"},
          {"17 levels", hs256(R"({"sub":"a","exp":1800000060,"x":)" + nested(16) + "}"), "token_malformed"},
          {"3,000 levels", hs256(R"({"exp":1800000060,"x":)" + nested(1400) + "}"), "token_malformed"},
          {"deep header", hs256(victim, R"({"alg":"HS256","x":)" + nested(16) + "}"), "token_malformed"},
          {"brackets in text are no levels", hs256(R"({"sub":"[[[[[[[[[[[[[[[[[[\"[[","exp":1800000060})"),
           "valid"},
          {"a list instead of an object", hs256("[]"), "token_malformed"},
          {"text instead of an object", hs256("\"victim\""), "token_malformed"},
          {"text behind the object", hs256(victim + "x"), "token_malformed"},
          {"not UTF-8", hs256("{\"sub\":\"\xff\",\"exp\":1800000060}"), "token_malformed"},
          {"a byte order mark", hs256("\xEF\xBB\xBF" + victim), "token_malformed"},
          {"no JSON", hs256("victim"), "token_malformed"},
          {"a NUL byte between tokens", hs256(std::string_view("{\"exp\":1800000060\0}", 19)),
           "token_malformed"},
          {"a NUL byte behind", hs256(std::string_view("{\"exp\":1800000060}\0", 19)), "token_malformed"},
      },
      with_secret());
}

TEST_CASE("a subject is a text that is not empty and holds no NUL") {
  check_all(
      {
          {"empty", with_sub("\"\""), "token_claims"},
          {"a number", with_sub("7"), "token_claims"},
          {"null", with_sub("null"), "token_claims"},
          {"a list", with_sub("[\"victim\"]"), "token_claims"},
          {"an object", with_sub("{}"), "token_claims"},
          {"true", with_sub("true"), "token_claims"},
          {"NUL inside", with_sub(R"("victim\u0000x")"), "token_malformed"},
          {"NUL alone", with_sub(R"("\u0000")"), "token_malformed"},
          {"half of a surrogate pair", with_sub(R"("\ud800")"), "token_malformed"},
      },
      with_secret());
  CHECK(sub_of(with_sub("\" victim \""), with_secret()) == " victim ");  // spaces belong to it
  CHECK(sub_of(hs256(R"({"exp":1800000060})"), with_secret()) == "(none)");
}

TEST_CASE("subjects of 3,000 bytes that differ in the last one are two") {
  const std::string id(2999, 'u');
  const std::string a = sub_of(with_sub("\"" + id + "a\""), with_secret());
  CHECK(a == id + "a");
  CHECK(sub_of(with_sub("\"" + id + "b\""), with_secret()) == id + "b");
  CHECK(outcome(with_sub("\"" + std::string(8192, 'u') + "\""), with_secret()) == "token_malformed");
}

TEST_CASE("times are numbers, whole or not, and nothing else") {
  const auto with = [](const char* members) { return hs256(std::string(R"({"sub":"a",)") + members + "}"); };
  check_all(
      {
          {"exp a text", with(R"("exp":"1800000060")"), "token_claims"},
          {"exp null", with(R"("exp":null)"), "token_claims"},
          {"exp negative", with(R"("exp":-1)"), "token_claims"},
          {"exp a list", with(R"("exp":[1800000060])"), "token_claims"},
          {"exp true", with(R"("exp":true)"), "token_claims"},
          {"exp a negative fraction", with(R"("exp":-0.5)"), "token_claims"},
          {"exp missing", with(R"("iat":1)"), "token_claims"},
          {"exp a fraction", with(R"("exp":1800000060.5)"), "valid"},
          {"exp in scientific notation", with(R"("exp":1.9e9)"), "valid"},
          {"exp in the far future", with(R"("exp":9223372036854775807)"), "valid"},
          {"exp as a huge fraction", with(R"("exp":1e300)"), "valid"},
          {"exp beyond every number", with(R"("exp":1e999)"), "token_malformed"},
          {"exp beyond 64 bits", with(R"("exp":9223372036854775808)"), "token_malformed"},
          {"exp NaN", with(R"("exp":NaN)"), "token_malformed"},
          {"nbf a text", with(R"("exp":1800000060,"nbf":"1")"), "token_claims"},
          {"nbf negative", with(R"("exp":1800000060,"nbf":-5)"), "token_claims"},
          {"nbf null", with(R"("exp":1800000060,"nbf":null)"), "token_claims"},
          {"nbf passed", with(R"("exp":1800000060,"nbf":1799999999)"), "valid"},
          {"nbf far off", with(R"("exp":1900000000,"nbf":1800000600)"), "token_not_yet"},
          {"nbf for ever", with(R"("exp":1900000000,"nbf":1e300)"), "token_not_yet"},
      },
      with_secret());
  jwt_settings lenient = with_secret();
  lenient.require_exp = false;
  CHECK(outcome(with(R"("iat":1)"), lenient) == "valid");
  CHECK(outcome(with(R"("exp":"never")"), lenient) == "token_claims");
}

TEST_CASE("leeway ends to the microsecond on both sides") {
  const jwt_settings settings = with_secret();  // 30 s
  const std::string token = hs256(R"({"sub":"a","exp":1800000000,"nbf":1799999900.25})");
  CHECK(outcome(token, settings, now_us + 30'000'000 - 1) == "valid");
  CHECK(outcome(token, settings, now_us + 30'000'000) == "token_expired");
  CHECK(outcome(token, settings, now_us - 129'750'000) == "valid");
  CHECK(outcome(token, settings, now_us - 129'750'000 - 1) == "token_not_yet");
  jwt_settings exact = with_secret();
  exact.leeway = std::chrono::milliseconds{0};
  CHECK(outcome(token, exact, now_us - 1) == "valid");
  CHECK(outcome(token, exact, now_us) == "token_expired");
}

TEST_CASE("issuer and audience are compared byte for byte") {
  jwt_settings settings = with_secret();
  settings.issuer = "https://id.example";
  settings.audience = "api";
  const auto with = [](const std::string& members) {
    return hs256(R"({"sub":"a","exp":1800000060)" + members + "}");
  };
  const std::string iss = R"(,"iss":"https://id.example")";
  check_all(
      {
          {"both", with(iss + R"(,"aud":"api")"), "valid"},
          {"one of several audiences", with(iss + R"(,"aud":["web","api"])"), "valid"},
          {"no issuer", with(R"(,"aud":"api")"), "token_issuer"},
          {"another issuer", with(R"(,"iss":"https://evil.example","aud":"api")"), "token_issuer"},
          {"issuer with a slash more", with(R"(,"iss":"https://id.example/","aud":"api")"), "token_issuer"},
          {"issuer in a list", with(R"(,"iss":["https://id.example"],"aud":"api")"), "token_issuer"},
          {"no audience", with(iss), "token_audience"},
          {"another audience", with(iss + R"(,"aud":"web")"), "token_audience"},
          {"audience in another case", with(iss + R"(,"aud":"API")"), "token_audience"},
          {"a longer audience", with(iss + R"(,"aud":"api2")"), "token_audience"},
          {"no audience in the list", with(iss + R"(,"aud":[])"), "token_audience"},
          {"a list of something else", with(iss + R"(,"aud":["api",1])"), "token_claims"},
          {"an object as audience", with(iss + R"(,"aud":{"api":true})"), "token_audience"},
      },
      settings);
}

TEST_CASE("claims are text, integers and booleans; anything else is absent") {
  const auto verdict =
      judge(hs256(R"({"exp":1800000060,"org":"acme","level":-7,"beta":true,"list":["x"],"unasked":"y"})"),
            with_secret());
  REQUIRE(verdict.token);
  CHECK(verdict.token->claim("org") == "acme");
  CHECK(verdict.token->claim("level") == "-7");
  CHECK(verdict.token->claim("beta") == "true");
  CHECK_FALSE(verdict.token->claim("list"));
  CHECK_FALSE(verdict.token->claim("unasked"));
  CHECK_FALSE(judge(hs256(R"({"exp":1800000060,"org":""})"), with_secret()).token->claim("org"));
}

TEST_CASE("keys too weak for their algorithm are refused when they are loaded") {
  const std::vector<std::string> hs{"HS256"}, rs{"RS256"};
  CHECK_FALSE(jwt_keys::from_secret("", hs).keys);
  CHECK_FALSE(jwt_keys::from_secret(std::string(31, 's'), hs).keys);
  CHECK(jwt_keys::from_secret(std::string(32, 's'), hs).keys);
  CHECK_FALSE(jwt_keys::from_secret(std::string(32, 's'), rs).keys);
  CHECK_FALSE(jwt_keys::from_secret(std::string(32, 's'), std::vector<std::string>{"HS512"}).keys);
  const auto load = [](const std::string& keys, const std::vector<std::string>& algorithms) {
    return jwt_keys::from_jwks("{\"keys\":[" + keys + "]}", algorithms);
  };
  CHECK_FALSE(load(key_pair::rsa(1024).jwk(), rs).keys);
  CHECK_FALSE(load(R"({"kty":"oct","k":""})", hs).keys);
  CHECK_FALSE(load(R"({"kty":"oct","k":"c2hvcnQ"})", hs).keys);
  CHECK_FALSE(load("", rs).keys);
  CHECK_FALSE(load(rsa_key().jwk(R"(,"use":"enc")"), rs).keys);
  CHECK_FALSE(load(rsa_key().jwk(R"(,"key_ops":["encrypt"])"), rs).keys);
  CHECK_FALSE(load(rsa_key().jwk(R"(,"alg":"PS256")"), rs).keys);
  CHECK_FALSE(load(rsa_key().jwk(R"(,"kid":7)"), rs).keys);
  CHECK_FALSE(load(R"({"kty":"RSA","n":"","e":""})", rs).keys);
  // cjose alone would end the process here
  CHECK_FALSE(
      jwt_keys::from_jwks(R"({"keys":[{"kty":"oct","k":"a=2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s"}]})",
                          std::vector<std::string>{"HS256"})
          .keys);
  CHECK_FALSE(jwt_keys::from_jwks("[]", rs).keys);
  CHECK_FALSE(jwt_keys::from_jwks(R"({"keys":[],"keys":[]})", rs).keys);
  CHECK(load(R"({"kty":"OKP","crv":"Ed25519","x":"a"},)" + rsa_key().jwk(), rs).keys);  // unknown: left out
  std::string many = rsa_key().jwk();
  for (int i = 0; i < 16; ++i) many += "," + rsa_key().jwk();
  CHECK_FALSE(load(many, rs).keys);
}

TEST_CASE("with several keys of one algorithm the one that signed is found, with and without its name") {
  jwt_settings settings;
  settings.keys =
      jwks(rsa_key().jwk(R"(,"kid":"a")") + "," + other_rsa_key().jwk(R"(,"kid":"b")"), {"RS256"});
  CHECK(outcome(signed_by(other_rsa_key(), "RS256"), settings) == "valid");
  CHECK(outcome(signed_by(other_rsa_key(), "RS256", R"(,"kid":"b")"), settings) == "valid");
  CHECK(outcome(signed_by(other_rsa_key(), "RS256", R"(,"kid":"a")"), settings) == "token_signature");
}

TEST_CASE("unverified tokens are believed only when that is configured, and still judged otherwise") {
  jwt_settings settings;  // no keys
  CHECK(sub_of(with_signature(R"({"alg":"none"})", victim, "x"), settings) == "victim");
  CHECK(outcome(with_signature("{}", R"({"sub":"a","exp":1})", "x"), settings) == "token_expired");
  CHECK(outcome(with_signature("{}", R"({"sub":"","exp":1800000060})", "x"), settings) == "token_claims");
  CHECK(outcome("a.b", settings) == "token_malformed");
}

TEST_CASE("a token stands behind Bearer in any case, in other fields also alone") {
  CHECK(bearer_token("Bearer a.b.c", true) == "a.b.c");
  CHECK(bearer_token("bEARER   a.b.c", true) == "a.b.c");
  CHECK(bearer_token("a.b.c", true).empty());
  CHECK(bearer_token("Basic dXNlcg==", true).empty());
  CHECK(bearer_token("Bearer", true).empty());
  CHECK(bearer_token("Bearer ", true).empty());
  CHECK(bearer_token("Bearera.b.c", true).empty());
  CHECK(bearer_token("Bearer\ta.b.c", true).empty());
  CHECK(bearer_token("a.b.c", false) == "a.b.c");
  CHECK(bearer_token("Bearer a.b.c", false) == "a.b.c");
}

TEST_CASE("a verified token is judged once, until it expires") {
  token_cache cache(with_secret(), asked, 1);
  const std::string token = hs256(victim);
  for (int i = 0; i < 3; ++i) CHECK(cache.verify(token, now_us).token);
  CHECK(cache.judged() == 1);
  CHECK(cache.verify(token, now_us + 90'000'000).problem == jwt_problem::expired);
  CHECK(cache.judged() == 2);
  CHECK(cache.verify(token, now_us).token);  // the clock stepped back: judged anew
  CHECK(cache.judged() == 3);
}

TEST_CASE("invalid tokens are never remembered, and a known prefix proves nothing") {
  token_cache cache(with_secret(), asked, 1);
  std::string token = hs256(victim);
  CHECK(cache.verify(token, now_us).token);
  token.back() = token.back() == 'A' ? 'E' : 'A';
  for (int i = 0; i < 2; ++i) CHECK_FALSE(cache.verify(token, now_us).token);
  CHECK(cache.judged() == 3);
  CHECK(cache.verify(std::string(jwt_size_max + 1, 'a'), now_us).problem == jwt_problem::malformed);
  CHECK(cache.judged() == 3);  // not even hashed
}

TEST_CASE("the table of verified tokens stays within its bound and drops the one unused for longest") {
  token_cache cache(with_secret(), asked, 1);
  const auto token = [](std::size_t i) {
    return hs256(R"({"exp":1800000060,"sub":"u)" + std::to_string(i) + "\"}");
  };
  for (std::size_t i = 0; i <= token_cache::tokens_max; ++i) CHECK(cache.verify(token(i), now_us).token);
  const auto judged = cache.judged();
  CHECK(cache.verify(token(token_cache::tokens_max), now_us).token);
  CHECK(cache.judged() == judged);
  CHECK(cache.verify(token(0), now_us).token);
  CHECK(cache.judged() == judged + 1);
}
