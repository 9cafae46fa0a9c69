// SPDX-License-Identifier: Apache-2.0
// `weir proxy`: a policy from the command line, for a first look and for a shell.
#include "config/load.hpp"
#include "proxy/cli/cli.hpp"
#include "proxy/cli/serve.hpp"

#include <cstdio>
#include <fmt/format.h>
#include <string_view>
#include <utility>

namespace weir::cli {
namespace {

constexpr const char* source_name = "<command line>";

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '$') out += '$';  // no variable is meant here: the shell has replaced them
    out += c;
  }
  return out + "\"";
}

/// `:8080` is every address of this machine as a listener, and this machine as an upstream.
std::string with_host(const std::string& address, std::string_view host) {
  return address.starts_with(':') ? std::string{host} + address : address;
}

std::string as_url(const std::string& upstream) {
  const bool has_scheme = upstream.find("://") != std::string::npos || upstream.starts_with("unix:");
  return has_scheme ? upstream : "http://" + with_host(upstream, "127.0.0.1");
}

std::string policy_of(const proxy_options& options) {
  auto text = fmt::format("version: 1\nlisten: {}\nadmin: {}\nupstreams:\n  app: {{url: {}}}\n",
                          quoted(with_host(options.from, "0.0.0.0")), quoted(options.admin),
                          quoted(as_url(options.to)));
  if (!options.store.empty()) text += fmt::format("store: {{url: {}}}\n", quoted(options.store));
  if (!options.limit.empty()) {
    text +=
        fmt::format("rules:\n  - {{name: per-client, key: [client_ip], limit: {}}}\n", quoted(options.limit));
  }
  return text;
}

}  // namespace

int proxy_command(const proxy_options& options) {
  auto loaded = config::load_text(policy_of(options), source_name, "", config::process_environment());
  report_problems(loaded);
  if (!loaded.settings) return exit_usage;
  std::fputs(fmt::format("# weir.yaml of these options:\n{}", loaded.source_text).c_str(), stderr);
  return serve_policy(std::move(loaded), [](const proxy::settings&) {
    return proxy::reload_outcome{
        nullptr, "there is no file to read again: weir proxy has only its options\n", {}};
  });
}

}  // namespace weir::cli
