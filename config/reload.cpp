// SPDX-License-Identifier: Apache-2.0
// What a running process cannot take over from a new file.
#include "config/load.hpp"
#include "config/reporter.hpp"

#include <fmt/format.h>
#include <tuple>

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

auto connection_of(const proxy::store_settings& s) {
  return std::tie(s.kind, s.host, s.port, s.unix_path, s.username, s.password, s.database);
}

/// What the running stores were built with.
auto store_shape_of(const proxy::store_settings& s) {
  return std::tie(s.key_prefix, s.connect_timeout, s.command_timeout, s.max_in_flight, s.replicas, s.max_keys,
                  s.when_full);
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
  refuse(current.listeners != next.listeners, "listen", "listen");
  refuse(!(current.admin == next.admin), "admin", "admin");
  refuse(connection_of(current.store) != connection_of(next.store), "store", "store.url");
  refuse(store_shape_of(current.store) != store_shape_of(next.store), "store", "store");
  refuse(!(current.access_log == next.access_log), "access_log", "access_log");
  refuse(current.limits.connections != next.limits.connections, "limits", "limits.connections");
  return problems;
}

}  // namespace weir::config
