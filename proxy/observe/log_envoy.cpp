// SPDX-License-Identifier: Apache-2.0
// The names of Envoy's default access log, as JSON.
#include "proxy/observe/record_writer.hpp"

namespace weir::proxy {
namespace {

/// Envoy's response flags where weir knows the same thing; empty for the rest.
std::string_view flags_of(const access_record& r) noexcept {
  if (r.status == 499) return "DC";
  if (r.decision == record_decision::deny) return "RL";
  if (r.reason == "no_route") return "NR";
  if (r.reason.starts_with("upstream_pool")) return "UO";
  if (!r.reason.starts_with("upstream_")) return {};  // the upstream's own answer
  return r.reason.ends_with("timeout") ? "UT" : "UF";
}

}  // namespace

std::string_view envoy_line(const access_record& r) {
  constexpr std::size_t names_room = 1400;
  record_writer w(r, names_room);
  w.time("{\"start_time\":", r.time_us - r.duration_us);
  w.text(",\"method\":", r.method);
  w.target(",\"path\":", r);
  w.text(",\"protocol\":", r.proto);
  w.text(",\"authority\":", r.host);
  w.number(",\"response_code\":", r.status);
  w.text(",\"response_flags\":", flags_of(r));
  w.number(",\"bytes_received\":", r.bytes_in);
  w.number(",\"bytes_sent\":", r.bytes_out);
  w.number(",\"duration\":", r.duration_us / 1000);
  if (r.upstream_us >= 0) w.number(",\"upstream_service_time\":", r.upstream_us / 1000);
  w.text(",\"x_forwarded_for\":", r.client_ip);
  w.text(",\"request_id\":", r.request_id);
  w.text(",\"route_name\":", r.route);
  w.text(",\"upstream_cluster\":", r.upstream);
  w.text(",\"upstream_host\":", r.upstream_addr);
  w.fields(",\"headers\":", r.headers, false);
  put_remaining(w, r, {.request_id = true, .route_and_upstream = true});
  w.put("}\n");
  return w.line();
}

}  // namespace weir::proxy
