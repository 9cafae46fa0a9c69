// SPDX-License-Identifier: Apache-2.0
// What a running process cannot take over from a new file.
#include "config/load.hpp"
#include "config/reporter.hpp"

#include <fmt/format.h>
#include <tuple>
#include <vector>

namespace weir::config {
namespace {

/// The top-level key in the file, for the caret; the whole file when it is not written there.
place place_of(std::string_view key, std::string_view source) {
  const std::string wanted = fmt::format("{}:", key);
  int line = 1;
  while (!source.empty()) {
    if (source.starts_with(wanted)) return {line, 1, static_cast<int>(key.size())};
    const auto end = source.find('\n');
    if (end == std::string_view::npos) break;
    source.remove_prefix(end + 1);
    ++line;
  }
  return {};
}

/// What a running store takes over: who it is to the servers, and whom it trusts.
void forget_credentials(limiter::redis_settings& s) {
  s.username.clear();
  s.password.clear();
  const bool enabled = s.tls.enabled;
  s.tls = {};
  s.tls.enabled = enabled;
}

bool same_place(const proxy::store_settings& a, const proxy::store_settings& b) {
  const auto place = [](const proxy::store_settings& s) {
    const auto& r = s.redis;
    return std::tie(s.kind, r.host, r.port, r.unix_path, r.database, r.topology, r.nodes, r.master,
                    r.tls.enabled);
  };
  return place(a) == place(b);
}

/// What the running stores were built with.
bool same_shape(const proxy::store_settings& a, const proxy::store_settings& b) {
  limiter::redis_settings x = a.redis, y = b.redis;
  forget_credentials(x);
  forget_credentials(y);
  return x == y && a.replicas == b.replicas && a.allow_grace == b.allow_grace && a.max_keys == b.max_keys &&
         a.when_full == b.when_full;
}

}  // namespace

std::vector<problem> reload_problems(const proxy::settings& current, const proxy::settings& next,
                                     const load_result& loaded) {
  std::vector<problem> problems;
  reporter report{next.source, problems};
  const auto refuse = [&](bool changed, std::string_view section, std::string_view key) {
    if (!changed) return;
    const reporter::scope scope{report, key};
    report.error("E0406", place_of(section, loaded.source_text),
                 fmt::format("a change of `{}` needs a restart", key),
                 {"restart weir, or take the change back", ""});
  };
  refuse(current.workers != next.workers, "workers", "workers");
  refuse(!(current.admin == next.admin), "admin", "admin");
  const bool moved = !same_place(current.store, next.store);
  refuse(moved, "store", "store.url");
  refuse(!moved && !same_shape(current.store, next.store), "store", "store");
  refuse(current.access_log.to != next.access_log.to, "access_log", "access_log.to");
  refuse(current.access_log.buffer != next.access_log.buffer, "access_log", "access_log.buffer");
  refuse(current.limits.connections != next.limits.connections, "limits", "limits.connections");
  return problems;
}

}  // namespace weir::config
