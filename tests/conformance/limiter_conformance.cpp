// SPDX-License-Identifier: Apache-2.0
// limiter_conformance --vectors DIR [--store memory|redis://HOST:PORT|unix:PATH] [--only ALGORITHM,...]
// Replays every trace of DIR through a store. Exit 0: all events match; 1: some do not, or there were none;
// 2: it could not be run.
#include "tests/conformance/replay.hpp"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <set>
#include <string>
#include <string_view>

namespace {

using weir::tests::report;
using weir::tests::tally;
using weir::tests::trace;

constexpr int exit_mismatch = 1;
constexpr int exit_not_run = 2;

struct options {
  std::string vectors;
  std::string store = "memory";
  weir::tests::tls_files tls;               // of rediss://
  std::set<std::string, std::less<>> only;  // empty = all
};

std::set<std::string, std::less<>> split(std::string_view list) {
  std::set<std::string, std::less<>> names;
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    if (comma > 0) names.emplace(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return names;
}

bool parse(int argc, char** argv, options& o) {
  if (argc % 2 == 0) return false;
  for (int i = 1; i < argc; i += 2) {
    const std::string_view name = argv[i];
    const std::string_view value = argv[i + 1];
    if (name == "--vectors") {
      o.vectors = value;
    } else if (name == "--store") {
      o.store = value;
    } else if (name == "--ca") {
      o.tls.ca = value;
    } else if (name == "--certificate") {
      o.tls.certificate = value;
    } else if (name == "--key") {
      o.tls.key = value;
    } else if (name == "--only") {
      o.only = split(value);
    } else {
      return false;
    }
  }
  return !o.vectors.empty();
}

bool selected(const trace& t, const options& o) {
  return o.only.empty() || std::all_of(t.rules.begin(), t.rules.end(),
                                       [&](const auto& rule) { return o.only.contains(rule.algorithm); });
}

void print(const std::map<std::string, tally>& tallies) {
  for (const auto& [name, sum] : tallies) std::printf("%s %d/%d\n", name.c_str(), sum.matched, sum.total);
}

void print(const report& result) {
  std::puts("suites:");
  print(result.suites);
  std::puts("tags:");
  print(result.tags);
  for (const auto& m : result.mismatches) {
    std::printf("mismatch: %s\n  want %s\n  got  %s\n", m.place.c_str(), m.want.c_str(), m.got.c_str());
  }
  std::printf("%d passed, %d failed\n", result.all.matched, result.all.total - result.all.matched);
}

int run(const options& o) {
  const auto traces = weir::tests::read_traces(o.vectors);
  const auto store = weir::tests::open_backend(o.store, o.tls);
  report result;
  for (const trace& t : traces) {
    if (selected(t, o)) weir::tests::replay(t, *store, result);
  }
  store->reset();
  print(result);
  return result.all.total > 0 && result.all.matched == result.all.total ? 0 : exit_mismatch;
}

}  // namespace

int main(int argc, char** argv) {
  options o;
  if (!parse(argc, argv, o)) {
    std::fputs(
        "usage: limiter_conformance --vectors DIR [--only ALGORITHM,...]\n"
        "         [--store memory|redis[s]://[USER:PASSWORD@]HOST:PORT|unix:PATH]\n"
        "         [--ca FILE [--certificate FILE --key FILE]]\n",
        stderr);
    return exit_not_run;
  }
  try {
    return run(o);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "limiter_conformance: %s\n", e.what());
    return exit_not_run;
  }
}
