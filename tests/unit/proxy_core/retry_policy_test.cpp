// SPDX-License-Identifier: Apache-2.0
#include "proxy/retry/retry_policy.hpp"

#include <doctest/doctest.h>

using namespace weir::proxy;

namespace {

std::uint64_t highest(void*, std::uint64_t bound) {
  return bound - 1;
}

constexpr std::int64_t second = 1'000'000;

attempt ended(outcome how) {
  return {.outcome = how};
}
attempt answered(int status, std::int64_t retry_after_us = -1) {
  return {.outcome = outcome::response, .status = status, .retry_after_us = retry_after_us};
}

/// One situation, changed by each test; jitter always at its upper end.
struct situation {
  retry_settings settings;
  retry_facts facts{.method = "GET", .time_left_us = 10 * second};
  retry_budget budget{100, 1000};

  situation() { budget.request(0); }
  retry_step after(const attempt& last) {
    return next_step(settings, last, facts, budget, 0, highest, nullptr);
  }
  bool retries(const attempt& last) { return after(last).retry; }
};

}  // namespace

TEST_CASE("the configured outcomes are retried and no others") {
  situation s;
  CHECK(s.retries(ended(outcome::connect_error)));
  CHECK(s.retries(ended(outcome::reset_before_headers)));
  CHECK(s.retries(ended(outcome::stale_connection)));
  CHECK(s.retries(answered(502)));
  CHECK(s.retries(answered(503)));
  CHECK_FALSE(s.retries(ended(outcome::first_byte_timeout)));
  CHECK_FALSE(s.retries(ended(outcome::bad_response)));
  CHECK_FALSE(s.retries(answered(200)));
  CHECK_FALSE(s.retries(answered(500)));
  CHECK_FALSE(s.retries(answered(504)));
}

TEST_CASE("each outcome can be turned on and off by itself") {
  situation s;
  s.settings.on_connect_error = false;
  CHECK_FALSE(s.retries(ended(outcome::connect_error)));
  CHECK(s.retries(ended(outcome::stale_connection)));
  s.settings.on_reset_before_headers = false;
  CHECK_FALSE(s.retries(ended(outcome::reset_before_headers)));
  CHECK_FALSE(s.retries(ended(outcome::stale_connection)));
  s.settings.on_timeout = true;
  CHECK(s.retries(ended(outcome::first_byte_timeout)));
  s.settings.on_status = {504};
  CHECK(s.retries(answered(504)));
  CHECK_FALSE(s.retries(answered(503)));
}

TEST_CASE("429 is not retried even where the settings list it") {
  situation s;
  s.settings.on_status = {429, 503};
  CHECK_FALSE(s.retries(answered(429)));
  CHECK_FALSE(s.retries(answered(429, 0)));
}

TEST_CASE("a method that must not be repeated is retried only when nothing was sent") {
  situation s;
  for (const char* method : {"POST", "PATCH", "get", "CUSTOM"}) {
    s.facts.method = method;
    CAPTURE(method);
    CHECK(s.retries(ended(outcome::connect_error)));
    CHECK_FALSE(s.retries(ended(outcome::reset_before_headers)));
    CHECK_FALSE(s.retries(ended(outcome::stale_connection)));
    CHECK_FALSE(s.retries(answered(503)));
    attempt unsent = ended(outcome::stale_connection);
    unsent.request_bytes_written = false;
    CHECK(s.retries(unsent));
  }
}

TEST_CASE("the listed methods are retried after bytes were sent") {
  situation s;
  for (const char* method : {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"}) {
    s.facts.method = method;
    CHECK(s.retries(ended(outcome::reset_before_headers)));
  }
  s.settings.methods = {"GET"};
  s.facts.method = "PUT";
  CHECK_FALSE(s.retries(ended(outcome::reset_before_headers)));
}

TEST_CASE("a request that switches protocols is retried only when nothing was sent") {
  situation s;
  s.facts.switches_protocol = true;
  CHECK_FALSE(s.retries(ended(outcome::reset_before_headers)));
  CHECK_FALSE(s.retries(ended(outcome::stale_connection)));
  CHECK_FALSE(s.retries(answered(503)));
  CHECK(s.retries(ended(outcome::connect_error)));
}

TEST_CASE("attempts are counted beyond the first") {
  situation s;
  s.facts.attempts_made = 2;
  CHECK(s.retries(answered(503)));
  s.facts.attempts_made = 3;
  CHECK_FALSE(s.retries(answered(503)));
  s.settings.attempts = 0;
  s.facts.attempts_made = 1;
  CHECK_FALSE(s.retries(ended(outcome::connect_error)));
}

TEST_CASE("nothing is retried once the response has started") {
  situation s;
  s.facts.response_started = true;
  CHECK_FALSE(s.retries(ended(outcome::reset_before_headers)));
}

TEST_CASE("a body that cannot be sent again is not retried") {
  situation s;
  s.facts.body_replayable = false;
  CHECK_FALSE(s.retries(ended(outcome::reset_before_headers)));
  CHECK_FALSE(s.retries(ended(outcome::connect_error)));
}

TEST_CASE("the first stale connection of a request costs no wait and no unit, a second one does") {
  situation s;
  s.budget = retry_budget(0, 0);
  const retry_step first = s.after(ended(outcome::stale_connection));
  CHECK(first.retry);
  CHECK(first.delay_us == 0);
  CHECK_FALSE(first.unit_taken);
  s.facts.stale_before = true;
  CHECK(s.after(ended(outcome::stale_connection)).budget_exhausted);
  s.budget = retry_budget(100, 1000);
  CHECK(s.after(ended(outcome::stale_connection)).unit_taken);
  s.facts.stale_before = false;
  s.settings.attempts = 0;
  CHECK_FALSE(s.retries(ended(outcome::stale_connection)));
}

TEST_CASE("the delay is the backoff of the attempt") {
  situation s;
  CHECK(s.after(answered(503)).delay_us == 25'000);
  s.facts.attempts_made = 2;
  CHECK(s.after(answered(503)).delay_us == 50'000);
}

TEST_CASE("Retry-After is a floor of the delay") {
  situation s;
  CHECK(s.after(answered(503, 2 * second)).delay_us == 2 * second);
  CHECK(s.after(answered(503, 1000)).delay_us == 25'000);
  CHECK(s.after(answered(503, 0)).delay_us == 25'000);
  s.settings.honor_retry_after = false;
  CHECK(s.after(answered(503, 2 * second)).delay_us == 25'000);
}

TEST_CASE("a wait that reaches the deadline means no retry and takes nothing from the budget") {
  situation s;
  CHECK_FALSE(s.retries(answered(503, 10 * second)));
  s.facts.time_left_us = 25'000;
  const retry_step step = s.after(answered(503));
  CHECK_FALSE(step.retry);
  CHECK_FALSE(step.budget_exhausted);
  CHECK(s.budget.active() == 0);
  s.facts.time_left_us = 25'001;
  CHECK(s.retries(answered(503)));
}

TEST_CASE("an exhausted budget is told apart from an attempt that is never retried") {
  situation s;
  s.budget = retry_budget(0, 0);
  const retry_step step = s.after(answered(503));
  CHECK_FALSE(step.retry);
  CHECK(step.budget_exhausted);
  CHECK_FALSE(s.after(answered(200)).budget_exhausted);
}

TEST_CASE("a granted retry takes one unit and everything else takes none") {
  situation s;
  CHECK(s.retries(answered(503)));
  CHECK(s.budget.active() == 1);
  CHECK_FALSE(s.retries(answered(200)));
  CHECK(s.budget.active() == 1);
  s.budget.finished();
  CHECK(s.budget.active() == 0);
}

TEST_CASE("the budget learns that retries fail again, and so refuses when they do not help") {
  const auto refused = [](const attempt& of_the_retries) {
    situation s;
    s.budget = retry_budget(0, 3);
    for (int i = 0; i < 20; ++i) {
      s.facts.attempts_made = 1;
      if (!s.retries(answered(503))) return true;
      s.budget.finished();
      s.facts.attempts_made = 3;  // none is left: told all the same
      CHECK_FALSE(s.retries(of_the_retries));
    }
    return false;
  };
  CHECK(refused(answered(503)));
  CHECK(refused(ended(outcome::first_byte_timeout)));
  CHECK_FALSE(refused(answered(200)));
  CHECK_FALSE(refused(answered(404)));
}
