// SPDX-License-Identifier: Apache-2.0
// bench_load: the clients and the upstream of compare.py in one process. Prints `begin` when the warm-up is
// over and a JSON object at the end; without --port it is only the upstream, until it is ended.
#include "tests/bench/load/clients.hpp"
#include "tests/bench/load/upstream.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/resource.h>

namespace {
using namespace weir::bench;

void run_for(loop& where, clients& from, double seconds) {
  const nanoseconds end = now_ns() + static_cast<nanoseconds>(seconds * 1e9);
  for (nanoseconds now = now_ns(); now < end; now = now_ns()) {
    where.turn(std::min(from.advance(now), end - now));
  }
}

double percentile(std::vector<float>& sorted, double share) {
  if (sorted.empty()) return 0;
  return sorted[std::min(sorted.size() - 1,
                         static_cast<std::size_t>(static_cast<double>(sorted.size()) * share))];
}

void measure(loop& where, const load& what, double warm_up, double seconds) {
  clients from(where, what);
  from.start();
  run_for(where, from, warm_up);
  from.result().clear();
  fmt::print("begin\n");
  std::fflush(stdout);
  const nanoseconds begin = now_ns();
  run_for(where, from, seconds);
  const double took = static_cast<double>(now_ns() - begin) / 1e9;
  tally& got = from.result();
  std::sort(got.latencies_us.begin(), got.latencies_us.end());
  fmt::print(R"({{"requests":{},"seconds":{:.4f},"ok":{},"limited":{},"other":{},"lost":{},)", got.answered(),
             took, got.ok, got.limited, got.other, got.lost);
  fmt::print("\"p50\":{:.1f},\"p90\":{:.1f},\"p99\":{:.1f},\"p999\":{:.1f}}}\n",
             percentile(got.latencies_us, 0.5), percentile(got.latencies_us, 0.9),
             percentile(got.latencies_us, 0.99), percentile(got.latencies_us, 0.999));
  std::fflush(stdout);
  from.stop();
}
}  // namespace

int main(int argc, char** argv) {
  load what;
  std::uint16_t upstream = 0;
  std::size_t response = 1024;
  double warm_up = 0.4, seconds = 1;
  CLI::App app{"load for a proxy on 127.0.0.1, and the upstream behind it"};
  app.add_option("--port", what.port, "where the proxy listens");
  app.add_option("--connections", what.connections)->check(CLI::Range(1, 20'000));
  app.add_option("--rate", what.rate, "requests per second; 0 = as fast as they are answered");
  app.add_option("--users", what.users)->check(CLI::Range(1, 10'000'000));
  app.add_option("--first", what.first, "number of the user that begins");
  app.add_option("--body", what.body, "bytes of each request's body");
  app.add_option("--upstream", upstream, "serve on this port as well");
  app.add_option("--response", response, "bytes of each response's body");
  app.add_option("--warm-up", warm_up, "seconds");
  app.add_option("--seconds", seconds)->check(CLI::Range(0.0, 120.0));
  CLI11_PARSE(app, argc, argv);

  rlimit descriptors{};
  getrlimit(RLIMIT_NOFILE, &descriptors);
  descriptors.rlim_cur = descriptors.rlim_max;
  setrlimit(RLIMIT_NOFILE, &descriptors);
  prctl(PR_SET_TIMERSLACK, 1UL);
  try {
    loop where;
    if (upstream != 0) serve(where, upstream, response);
    if (what.port != 0) {
      measure(where, what, warm_up, seconds);
    } else {
      for (;;) where.turn(1'000'000'000);
    }
  } catch (const std::exception& e) {
    fmt::print(stderr, "bench_load: {}\n", e.what());
    return 1;
  }
}
