// SPDX-License-Identifier: Apache-2.0
#include "config/sections/sections.hpp"

namespace weir::config {

using namespace std::chrono_literals;

const table<proxy::limit_settings>& limits_table() {
  using s = proxy::limit_settings;
  constexpr std::uint64_t kib = 1024;
  constexpr std::uint64_t tib = kib * kib * kib * kib;
  static const table<s> all{
      "`limits`",
      {
          row("target_size", "8KiB", size(&s::target_size, kib, 64 * kib), "request target, else 414"),
          row("header_size", "32KiB", size(&s::header_size, 4 * kib, 256 * kib), "whole head, else 431"),
          row("field_size", "16KiB", size(&s::field_size, kib, 256 * kib), "one field line, else 431"),
          row("header_count", "100", integer(&s::header_count, 16, 1000), "field lines, else 431"),
          row("body_size", "64MiB", size_or(&s::body_size, 1, tib, "unlimited", proxy::unlimited),
              "request body, else 413; `routes[].body_size` for one route"),
          row("connections", "auto", integer_or_auto(&s::connections, 1, 1'000'000, std::uint32_t{0}),
              "client connections; auto = descriptor limit − 64, at least 16"),
          row("connections_per_address", "16384", integer(&s::connections_per_address, 1, 1'000'000),
              "of one address group, over all workers; trusted proxies are exempt"),
          row("requests_per_connection", "10000", integer(&s::requests_per_connection, 1, 1'000'000),
              "then it is closed"),
          row("header_timeout", "10s", duration(&s::header_timeout, 100ms, 1h),
              "for the whole head, never prolonged by bytes, else 408"),
          row("keepalive_timeout", "60s", duration(&s::keepalive_timeout, 100ms, 1h),
              "idle between two requests"),
          row("upgraded_idle_timeout", "60s", duration(&s::upgraded_idle_timeout, 100ms, 1h),
              "no byte in either direction after a switch of protocols"),
          row("tls_handshake_timeout", "5s", duration(&s::tls_handshake_timeout, 100ms, 1h),
              "from the connection to the end of its handshake"),
          row("body_idle_timeout", "10s", duration(&s::body_idle_timeout, 100ms, 1h),
              "no byte of the request body"),
          row("body_min_rate", "500B/second",
              value_type<s>{"SIZE/second or `none`", "1B–1GiB",
                            [](s& out, const node& n, context& ctx) {
                              if (n.kind == node_kind::scalar && n.text == "none") {
                                out.body_min_rate = 0;
                                return;
                              }
                              const auto value = read_unit(n, ctx, "E0203", parse_byte_rate);
                              if (!value) return;
                              if (*value < 1 || *value > kib * kib * kib) {
                                ctx.report.error("E0204", n.at, fmt::format("{} is out of range", shown(n)),
                                                 {"from 1B/second to 1GiB/second, or `none`", ""});
                                return;
                              }
                              out.body_min_rate = *value;
                            }},
              "slower request bodies are cut, measured after the first 10s"),
          row("write_idle_timeout", "30s", duration(&s::write_idle_timeout, 100ms, 1h),
              "a client that reads nothing"),
      }};
  return all;
}

}  // namespace weir::config
