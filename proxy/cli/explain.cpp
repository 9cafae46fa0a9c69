// SPDX-License-Identifier: Apache-2.0
// `weir explain`: what a policy makes of a request, and why.
#include "config/load.hpp"
#include "config/units.hpp"
#include "proxy/cli/cli.hpp"
#include "proxy/cli/described.hpp"
#include "proxy/cli/explain_report.hpp"
#include "proxy/cli/peek_store.hpp"
#include "proxy/cli/serve.hpp"
#include "proxy/runtime/clock.hpp"

#include <algorithm>
#include <cstdio>
#include <fmt/format.h>
#include <fstream>
#include <iostream>

namespace weir::cli {
namespace {

namespace offline = proxy::offline;

constexpr std::size_t longest_line = 256 * 1024;
constexpr std::chrono::milliseconds store_patience{2000};

int complain(int code, const std::string& message, const std::string& help) {
  std::fputs(fmt::format("error: {}\n  = help: {}\n", message, help).c_str(), stderr);
  return code;
}

/// Decides `text` and, when it is forwarded, lets its response come at once.
complaint decide(offline::evaluator& world, offline::evaluated_request& r, const request_text& text,
                 std::int64_t now_us) {
  const auto peer = identity::parse_address(text.ip);
  if (!peer) return fmt::format("`{}` is no address", text.ip);
  const auto headers = offline::lines_of(text.headers);
  world.decide(r, {text.method, text.target, text.host, headers, *peer, &text.given}, now_us);
  return std::nullopt;
}

/// The requests of a file, one JSON object a line, each behind those before it.
int explain_lines(offline::evaluator& world, std::istream& in) {
  offline::evaluated_request r;
  std::string line;
  std::int64_t now_us = proxy::wall_now_us();
  for (int number = 1; std::getline(in, line); ++number) {
    if (line.empty()) continue;
    request_text text;
    auto wrong = line.size() > longest_line ? complaint{"too long"} : read_request_line(line, text);
    if (text.at_us) now_us = std::max(now_us, *text.at_us);
    if (number == 1 && text.at_us) now_us = *text.at_us;
    if (!wrong) wrong = decide(world, r, text, now_us);
    if (wrong) {
      return complain(exit_usage, fmt::format("line {} of the requests: {}", number, *wrong),
                      "weir explain --help");
    }
    std::fputs(explain_json(r).c_str(), stdout);
    const auto headers = offline::lines_of(text.response_headers);
    world.settle(r, {.status = text.status, .headers = headers, .body = text.body}, now_us);
  }
  return std::fflush(stdout) == 0 ? exit_ok : exit_failure;
}

int explain_file(offline::evaluator& world, const std::string& path) {
  if (path == "-") return explain_lines(world, std::cin);
  std::ifstream in{path};
  if (!in) return complain(exit_usage, fmt::format("cannot read {}", path), "weir explain --help");
  return explain_lines(world, in);
}

complaint read_options(const explain_options& o, request_text& text) {
  text.method = o.method;
  text.set_url(o.url);
  text.ip = o.ip;
  if (!o.user.empty()) text.given.user = o.user;
  if (!o.tier.empty()) text.given.tier = o.tier;
  for (const auto& header : o.headers) {
    if (auto wrong = add_header(header, text)) return wrong;
  }
  for (const auto& claim : o.claims) {
    if (auto wrong = add_claim(claim, text)) return wrong;
  }
  if (o.at.empty()) return std::nullopt;
  const auto at = config::parse_instant(o.at);
  if (!at.value) return fmt::format("--at: {}; {}", at.message, at.hint);
  text.at_us = at.value;
  return std::nullopt;
}

int explain_one(offline::evaluator& world, const explain_options& o) {
  request_text text;
  offline::evaluated_request r;
  auto wrong = read_options(o, text);
  if (!wrong) wrong = decide(world, r, text, text.at_us.value_or(proxy::wall_now_us()));
  if (wrong) return complain(exit_usage, *wrong, "weir explain --help");
  std::fputs((o.json ? explain_json(r) : explain_text(r, o.live, o.color)).c_str(), stdout);
  return std::fflush(stdout) == 0 ? exit_ok : exit_failure;
}

int explain_live(const std::shared_ptr<const proxy::settings>& settings, const explain_options& o) {
  if (settings->store.kind == proxy::store_kind::memory) {
    return complain(exit_unreachable,
                    "memory:// counts inside the process of weir, where nobody else can look",
                    "leave --live out, or let `store.url` name a Redis");
  }
  peek_store store{settings->store.redis};
  const auto unreachable = [] {
    return complain(exit_unreachable, "the store of the policy does not answer",
                    "`store.url` says where it is");
  };
  if (!store.connect(store_patience)) return unreachable();
  offline::evaluator world{settings, &store};
  const int code = explain_one(world, o);
  return store.failure() == limiter::errc::ok ? code : unreachable();
}

}  // namespace

int explain_command(const explain_options& o) {
  const bool one = !o.method.empty() && !o.url.empty();
  if (one != o.requests.empty() || (o.live && !one)) {
    return complain(exit_usage, "expected METHOD and URL, or --requests FILE", "weir explain --help");
  }
  const auto loaded = config::load_file(o.file, config::process_environment());
  if (!loaded.settings) {
    for (const auto& p : loaded.problems)
      std::fputs(config::render(p, loaded.source_text, false).c_str(), stderr);
    std::fputs((config::summary(loaded.problems, o.file) + "\n").c_str(), stderr);
    return exit_bad_config;
  }
  if (o.live) return explain_live(loaded.settings, o);
  offline::evaluator world{loaded.settings};
  return one ? explain_one(world, o) : explain_file(world, o.requests);
}

}  // namespace weir::cli
