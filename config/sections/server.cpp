// SPDX-License-Identifier: Apache-2.0
// version, admin, workers, drain, via, hash_key_file
#include "config/addresses.hpp"
#include "config/sections/sections.hpp"

#include <openssl/sha.h>

namespace weir::config {
namespace {

using namespace std::chrono_literals;

void read_version(file_draft& out, const node& n, context& ctx) {
  const auto value = read_unit(n, ctx, "E0205", parse_integer);
  if (value && *value != 1)
    ctx.report.error("E0307", n.at, "this release reads version 1", {"write `version: 1`", ""});
  if (value) out.version = *value;
}

std::optional<proxy::socket_address> read_address(const node& n, context& ctx) {
  return read_unit(n, ctx, "E0209", parse_bind_address);
}

// ---- admin ----

void read_admin_address(proxy::admin_settings& out, const node& n, context& ctx) {
  auto address = read_address(n, ctx);
  if (!address) return;
  if (!is_loopback(*address)) {
    ctx.report.error("E0306", n.at,
                     fmt::format("the admin port on {} would be open to other machines", shown(n)),
                     {"use 127.0.0.1, [::1] or unix:PATH",
                      "for probes and scrapers from outside open the read-only port `admin.scrape_address`"});
  }
  out.address = std::move(*address);
}

const table<proxy::admin_settings>& admin_table() {
  using s = proxy::admin_settings;
  static const table<s> all{"`admin`",
                            {
                                row("address", "127.0.0.1:9901",
                                    value_type<s>{"address", "loopback or `unix:PATH`", read_admin_address},
                                    "/livez /readyz /healthz /metrics"),
                                row("scrape_address", "",
                                    value_type<s>{"address", "`HOST:PORT` or `unix:PATH`",
                                                  [](s& out, const node& n, context& ctx) {
                                                    auto address = read_address(n, ctx);
                                                    if (!address) return;
                                                    out.scrape_address = std::move(*address);
                                                    out.has_scrape_address = true;
                                                  }},
                                    "a second, read-only port for probes and scrapers"),
                            }};
  return all;
}

void read_admin(file_draft& out, const node& n, context& ctx) {
  out.admin_at = n.at;
  if (n.kind == node_kind::scalar) {
    read_admin_address(out.settings.admin, n, ctx);
  } else {
    read_map(n, admin_table(), out.settings.admin, ctx, "`admin`");
  }
}

// ---- drain ----

const table<proxy::drain_settings>& drain_table() {
  using s = proxy::drain_settings;
  static const table<s> all{
      "`drain`",
      {
          row("delay", "5s", duration(&s::delay, 0ms, 5min), "go on accepting so long after SIGTERM"),
          row("timeout", "25s", duration(&s::timeout, 1s, 1h),
              "from SIGTERM to the end of every request; > delay"),
      }};
  return all;
}

void read_drain(file_draft& out, const node& n, context& ctx) {
  out.drain_at = n.at;
  read_map(n, drain_table(), out.settings.drain, ctx, "`drain`");
}

// ---- via, hash_key_file ----

void read_via(file_draft& out, const node& n, context& ctx) {
  const auto text = read_text(n, ctx);
  if (!text) return;
  if (!is_token(*text)) {
    ctx.report.error("E0211", n.at, fmt::format("{} is no pseudonym", shown(n)),
                     {"letters, digits and - . _", ""});
    return;
  }
  out.settings.via = *text;
}

void read_hash_key(file_draft& out, const node& n, context& ctx) {
  constexpr std::size_t shortest = 32;
  constexpr std::size_t longest = 4096;
  const auto content = read_file(n, ctx, longest);
  if (!content) return;
  if (content->size() < shortest) {
    ctx.report.error("E0502", n.at, "a hash key has at least 32 bytes",
                     {"head -c 32 /dev/urandom > FILE", ""});
    return;
  }
  SHA256(reinterpret_cast<const unsigned char*>(content->data()), content->size(),
         out.settings.hash_key.data());
  out.has_hash_key = true;
}

}  // namespace

std::vector<key_row<file_draft>> server_rows() {
  using d = file_draft;
  auto admin = row("admin", "127.0.0.1:9901", value_type<d>{"address or map", "", read_admin},
                   "an address alone is `admin.address`");
  admin.below = [](const std::string& path, std::vector<key_doc>& out) {
    describe(admin_table(), path, out);
  };
  auto drain = row("drain", "", value_type<d>{"", "", read_drain});
  drain.below = [](const std::string& path, std::vector<key_doc>& out) {
    describe(drain_table(), path, out);
  };
  auto workers = integer_or_auto(&proxy::settings::workers, 1, 256, 0);
  return {
      row("version", required, value_type<d>{"integer", "1", read_version}),
      listen_row(),
      std::move(admin),
      row("workers", "auto",
          value_type<d>{
              workers.type, workers.range,
              [read = workers.read](d& out, const node& n, context& ctx) { read(out.settings, n, ctx); }},
          "auto = the smaller of cores and cgroup `cpu.max`"),
      std::move(drain),
      row("via", "weir", value_type<d>{"text", "token, up to 64 characters", read_via},
          "pseudonym in the Via field"),
      row("hash_key_file", "random per process", value_type<d>{"file", "32B–4KiB", read_hash_key},
          "keys `user_hash`; share it between replicas to compare their logs"),
  };
}

}  // namespace weir::config
