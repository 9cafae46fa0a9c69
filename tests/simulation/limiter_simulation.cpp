// SPDX-License-Identifier: Apache-2.0
// limiter_simulation [--full] [--only PREFIX]: what sharing costs the store and how exact it is. Prints a row
// per scenario and checks its bounds; the last line is `N passed, N failed`.
#include "simulation.hpp"

#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace {

using namespace weir::simulation;
using weir::limiter::quota;

constexpr std::int64_t second = 1'000'000;
constexpr quota per_user{.limit = 100, .period_us = second, .burst = 100};
constexpr quota global{.limit = 30'000, .period_us = second, .burst = 30'000};
constexpr quota roomy{.limit = 150'000, .period_us = second, .burst = 150'000};

int passed = 0, failed = 0;

void check(bool good, const scenario& s, const char* what, double value) {
  (good ? passed : failed)++;
  if (!good) std::printf("FAILED  %s: %s (%.4f)\n", s.name.c_str(), what, value);
}

const char* name_of(technique t) {
  switch (t) {
    case technique::sync:
      return "sync";
    case technique::sync_cache:
      return "sync + cache";
    case technique::coalesced_cache:
      return "coalesced + cache";
    case technique::balanced:
      return "balanced";
  }
  return "";
}

void print(const scenario& s, const outcome& o) {
  std::printf("%-9s N=%-5d %-18s %9.0f %9.0f %8.2f%% %6.2f %6.1f%% %6.0f/%-6.0f %8lld %5lld\n",
              s.name.c_str(), s.processes, name_of(s.how), o.calls, o.evaluations, 100 * o.admitted_of_ideal,
              o.burst, 100 * o.local_share, o.p50_us, o.p99_us, static_cast<long long>(o.denied_from_cache),
              static_cast<long long>(o.wrong_denials));
  std::fflush(stdout);
}

/// Bounds that hold for every scenario of a technique.
void check_technique(const scenario& s, const outcome& o) {
  if (s.how == technique::balanced) {
    const double tau_us = 200'000;
    const double bound = 1 + static_cast<double>(s.quota.limit) / static_cast<double>(s.quota.period_us) *
                                 tau_us / static_cast<double>(s.quota.burst);
    check(o.burst <= bound, s, "burst above 1 + rate * lease time", o.burst);
    return;
  }
  if (s.refunds == 0) {
    check(o.burst <= 1 + 1e-6, s, "more than burst + rate * window admitted", o.burst);
    check(o.admitted_of_ideal > 0.999 && o.admitted_of_ideal < 1.001, s, "not what the ideal admits",
          o.admitted_of_ideal);
    check(o.wrong_denials == 0, s, "wrong denials", static_cast<double>(o.wrong_denials));
  }
  check(o.unexplained_denials == 0, s, "denials that no refund explains",
        static_cast<double>(o.unexplained_denials));
}

struct experiment {
  scenario what;
  bool full_only = false;
};

std::vector<experiment> experiments() {
  using enum technique;
  std::vector<experiment> all;
  const auto add = [&all](const char* name, technique how, int n, const quota& q, int keys, double zipf,
                          double seconds, bool full_only) -> scenario& {
    all.push_back({{.name = name,
                    .how = how,
                    .processes = n,
                    .quota = q,
                    .keys = keys,
                    .zipf = zipf,
                    .seconds = seconds},
                   full_only});
    return all.back().what;
  };
  for (const int n : {1, 10, 100, 1000}) {
    const bool small = n == 10;
    add("S1", sync, n, per_user, 100'000, 1, 5, true);
    add("S1", sync_cache, n, per_user, 100'000, 1, small ? 3 : 5, !small);
    add("S1", coalesced_cache, n, per_user, 100'000, 1, small ? 3 : 5, !small);
    add("S1", balanced, n, per_user, 100'000, 1, small ? 3 : 5, !small);
  }
  for (const int n : {1, 10, 100, 1000}) {
    add("S2", coalesced_cache, n, global, 4, 0, n == 100 ? 4 : 10, n != 100);
    add("S2", balanced, n, global, 4, 0, 10, n != 10 && n != 100);
  }
  for (const int n : {1, 10, 100, 1000}) add("S3", balanced, n, roomy, 4, 0, n == 100 ? 4 : 10, n != 100);
  add("S4", balanced, 100, global, 4, 0, 10, false).skewed = true;
  add("S5", balanced, 1000, {.limit = 300'000, .period_us = second, .burst = 300'000}, 1, 0, 4, true).rate =
      1e6;
  add("refunds", coalesced_cache, 10, per_user, 1000, 1, 3, false).refunds = 0.1;
  add("refunds", coalesced_cache, 1, per_user, 1000, 1, 3, false).refunds = 0.1;
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  bool full = false;
  std::string only;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--full") == 0) full = true;
    if (std::strcmp(argv[i], "--only") == 0 && i + 1 < argc) only = argv[++i];
  }
  std::printf("%-9s %-7s %-18s %9s %9s %9s %6s %7s %13s %8s %5s\n", "scenario", "", "technique", "calls/s",
              "evals/s", "adm/ideal", "burst", "local", "p50/p99 us", "cached", "wrong");
  for (const experiment& e : experiments()) {
    const scenario& s = e.what;
    if ((e.full_only && !full) || (!only.empty() && s.name != only)) continue;
    const outcome o = run(s);
    print(s, o);
    check_technique(s, o);
    if (s.how != technique::balanced) continue;
    if (s.name == "S2" && s.processes == 100) {
      check(o.evaluations * 50 <= s.rate, s, "less than 50 times fewer evaluations", s.rate / o.evaluations);
    }
    if ((s.name == "S2" || s.name == "S4") && s.processes >= 10) {
      check(o.admitted_of_ideal >= 0.97, s, "below 97 % of the ideal", o.admitted_of_ideal);
    }
    if (s.name == "S3")
      check(o.admitted_of_ideal >= 0.9999, s, "denied below the limit", o.admitted_of_ideal);
    if (s.name == "S1") check(o.admitted_of_ideal >= 0.95, s, "below 95 % of the ideal", o.admitted_of_ideal);
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}
