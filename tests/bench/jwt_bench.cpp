// SPDX-License-Identifier: Apache-2.0
// What a verified token costs: each algorithm in full, and one that is remembered.
#include "../support/jwt_maker.hpp"
#include "proxy/identity/token_cache.hpp"

#include <benchmark/benchmark.h>

namespace {

using namespace weir;

constexpr std::int64_t now_us = 1'800'000'000'000'000;
const std::string payload = R"({"sub":"alice","iss":"https://id.example","aud":"api","exp":1800000060})";
const std::string secret(64, 's');

struct subject {
  identity::jwt_settings settings;
  std::string token;
};

subject make(const std::string& algorithm) {
  const std::string header = R"({"alg":")" + algorithm + "\"}";
  subject made;
  if (algorithm.starts_with("HS")) {
    made.settings.keys = identity::jwt_keys::from_secret(secret, std::vector<std::string>{algorithm}).keys;
    made.token =
        test::make_token(header, payload, [&](auto input) { return test::hmac(secret, algorithm, input); });
    return made;
  }
  const auto key = algorithm.starts_with("ES") ? test::key_pair::ec("P-256") : test::key_pair::rsa(2048);
  made.settings.keys =
      identity::jwt_keys::from_jwks("{\"keys\":[" + key.jwk() + "]}", std::vector<std::string>{algorithm})
          .keys;
  made.token = test::make_token(header, payload, [&](auto input) { return key.sign(algorithm, input); });
  return made;
}

void verify(benchmark::State& state, const char* algorithm) {
  const subject s = make(algorithm);
  const std::vector<std::string> asked{"sub"};
  for (auto _ : state) {
    const auto verdict = identity::verify_jwt(s.token, s.settings, asked, now_us);
    if (!verdict.token) state.SkipWithError("not verified");
    benchmark::DoNotOptimize(verdict);
  }
}

void remembered(benchmark::State& state) {
  const subject s = make("RS256");
  identity::token_cache cache(s.settings, {"sub"}, 1);
  for (auto _ : state) benchmark::DoNotOptimize(cache.verify(s.token, now_us));
}

BENCHMARK_CAPTURE(verify, RS256, "RS256");
BENCHMARK_CAPTURE(verify, PS256, "PS256");
BENCHMARK_CAPTURE(verify, ES256, "ES256");
BENCHMARK_CAPTURE(verify, HS256, "HS256");
BENCHMARK(remembered);

}  // namespace

BENCHMARK_MAIN();
