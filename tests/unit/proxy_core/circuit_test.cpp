// SPDX-License-Identifier: Apache-2.0
#include "proxy/upstream/health/circuit.hpp"

#include <doctest/doctest.h>

using namespace weir::proxy;

namespace {

constexpr std::int64_t second = 1'000'000;

struct fixture {
  outlier_settings settings;
  std::int64_t now = 1000 * second;
  circuit under_test{settings};

  std::optional<eject_reason> fail(int times = 1) {
    std::optional<eject_reason> reason;
    for (int i = 0; i < times; ++i) reason = under_test.ended(true, now);
    return reason;
  }
  void succeed(int times = 1) {
    for (int i = 0; i < times; ++i) CHECK_FALSE(under_test.ended(false, now));
  }
  /// The circuit was ejected and its time is over: its probe ends like this.
  void probe(circuit::probe how) {
    now = under_test.open_until_us();
    REQUIRE(under_test.begin(now));
    under_test.probe_ended(how, now);
  }
  std::int64_t out_for() const { return (under_test.open_until_us() - now) / second; }
};

}  // namespace

TEST_CASE_FIXTURE(fixture, "five failures in a row are a reason, four and a success are none") {
  CHECK_FALSE(fail(4));
  succeed();
  CHECK_FALSE(fail(4));
  CHECK(fail() == eject_reason::consecutive_failures);
}

TEST_CASE_FIXTURE(fixture, "half of twenty attempts in ten seconds are a reason, half of nineteen are none") {
  settings.consecutive_failures = 1000;
  under_test = circuit(settings);
  succeed(9);
  CHECK_FALSE(fail(9));                          // 18
  CHECK_FALSE(fail());                           // 10 of 19
  CHECK(fail() == eject_reason::failure_ratio);  // 11 of 20
}

TEST_CASE_FIXTURE(fixture, "failures are forgotten after ten seconds, second by second") {
  settings.consecutive_failures = 1000;
  under_test = circuit(settings);
  for (int s = 0; s < 19; ++s) {  // never more than 10 attempts in the window
    CHECK_FALSE(fail());
    now += second;
  }
  now += 20 * second;
  CHECK_FALSE(fail(19));
  CHECK(fail() == eject_reason::failure_ratio);
}

TEST_CASE_FIXTURE(fixture, "a ratio of zero counts failures in a row only") {
  settings.failure_ratio = 0;
  settings.consecutive_failures = 1000;
  under_test = circuit(settings);
  CHECK_FALSE(fail(900));
}

TEST_CASE_FIXTURE(fixture,
                  "an open circuit lets nothing pass until its time is over, then exactly one probe") {
  under_test.eject(now);
  CHECK(out_for() == 5);
  now = under_test.open_until_us() - 1;
  CHECK_FALSE(under_test.may_pass(now));
  CHECK_FALSE(under_test.begin(now));
  ++now;
  CHECK(under_test.may_pass(now));
  CHECK(under_test.begin(now));
  CHECK_FALSE(under_test.may_pass(now));
  CHECK_FALSE(under_test.begin(now));
  CHECK_FALSE(under_test.closed());
}

TEST_CASE_FIXTURE(fixture, "a good probe closes the circuit with a clean record") {
  fail(4);
  under_test.eject(now);
  probe(circuit::probe::good);
  CHECK(under_test.closed());
  CHECK_FALSE(fail(4));
  CHECK(fail() == eject_reason::consecutive_failures);
}

TEST_CASE_FIXTURE(fixture, "bad probes double the time up to its maximum") {
  under_test.eject(now);
  for (const int expected : {10, 20, 40, 80, 160, 300, 300}) {
    probe(circuit::probe::bad);
    CHECK(out_for() == expected);
  }
}

TEST_CASE_FIXTURE(fixture, "an abandoned probe makes room for another at once") {
  under_test.eject(now);
  probe(circuit::probe::abandoned);
  CHECK(under_test.may_pass(now));
  CHECK(under_test.begin(now));
}

TEST_CASE_FIXTURE(fixture,
                  "an endpoint that fails again soon is out twice as long, a recovered one begins anew") {
  under_test.eject(now);
  probe(circuit::probe::good);
  now += 4 * second;  // less than it was out
  under_test.eject(now);
  CHECK(out_for() == 10);
  probe(circuit::probe::good);
  now += 10 * second;
  under_test.eject(now);
  CHECK(out_for() == 5);
}

TEST_CASE_FIXTURE(fixture, "attempts that began before the ejection change nothing while it lasts") {
  under_test.eject(now);
  CHECK_FALSE(fail(100));
  succeed(100);
  CHECK_FALSE(under_test.closed());
  CHECK(out_for() == 5);
  CHECK(under_test.begin(under_test.open_until_us()));
  CHECK_FALSE(fail(100));  // half-open: the probe alone decides
}

TEST_CASE("the failure window equals a list of the last ten seconds") {
  failure_window window;
  struct event {
    std::int64_t second;
    bool failed;
  };
  std::vector<event> all;
  std::uint64_t random = 7;
  std::int64_t now = 500 * second;
  for (int i = 0; i < 20'000; ++i) {
    random = random * 6364136223846793005ull + 1442695040888963407ull;
    now += (random >> 33) % 7 == 0 ? static_cast<std::int64_t>((random >> 40) % 3'000'000) : 1000;
    if (random % 997 == 0) now += 60 * second;
    const bool failed = (random >> 50) % 3 == 0;
    window.add(failed, now);
    all.push_back({now / second, failed});
    std::uint64_t attempts = 0, failures = 0;
    for (auto e = all.rbegin(); e != all.rend() && e->second > now / second - 10; ++e) {
      ++attempts;
      failures += e->failed ? 1u : 0u;
    }
    REQUIRE(window.attempts() == attempts);
    REQUIRE(window.failures() == failures);
  }
}
