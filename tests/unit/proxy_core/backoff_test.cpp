// SPDX-License-Identifier: Apache-2.0
#include "proxy/retry/backoff.hpp"

#include <doctest/doctest.h>
#include <random>

using namespace weir::proxy;

namespace {

std::uint64_t highest(void*, std::uint64_t bound) {
  return bound - 1;
}
std::uint64_t lowest(void*, std::uint64_t) {
  return 0;
}

}  // namespace

TEST_CASE("the wait doubles from base up to max") {
  retry_settings settings;
  const std::int64_t expected_ms[] = {25, 50, 100, 200, 250, 250, 250};
  for (int n = 1; n <= 7; ++n) CHECK(backoff_us(settings, n, highest, nullptr) == expected_ms[n - 1] * 1000);
}

TEST_CASE("full jitter reaches from zero to the wait, both included") {
  retry_settings settings;
  CHECK(backoff_us(settings, 3, lowest, nullptr) == 0);
  CHECK(backoff_us(settings, 3, highest, nullptr) == 100'000);
}

TEST_CASE("full jitter is uniform") {
  retry_settings settings;
  std::mt19937_64 generator(4);
  const auto uniform = [](void* state, std::uint64_t bound) {
    return (*static_cast<std::mt19937_64*>(state))() % bound;
  };
  int quarters[4] = {};
  for (int i = 0; i < 40000; ++i) {
    const std::int64_t wait = backoff_us(settings, 2, uniform, &generator);
    REQUIRE(wait >= 0);
    REQUIRE(wait <= 50'000);
    ++quarters[std::min<std::int64_t>(wait / 12'501, 3)];
  }
  for (const int count : quarters) CHECK(count == doctest::Approx(10000).epsilon(0.05));
}

TEST_CASE("without jitter the wait is exact and asks for no random number") {
  retry_settings settings;
  settings.jitter_full = false;
  CHECK(backoff_us(settings, 2, nullptr, nullptr) == 50'000);
}

TEST_CASE("a base above max is cut to max") {
  retry_settings settings;
  settings.backoff_base = milliseconds(900);
  CHECK(backoff_us(settings, 1, highest, nullptr) == 250'000);
}

TEST_CASE("many attempts of a long backoff do not overflow") {
  retry_settings settings;
  settings.backoff_base = settings.backoff_max = std::chrono::hours(1);
  CHECK(backoff_us(settings, 1000, highest, nullptr) == 3'600'000'000);
}
