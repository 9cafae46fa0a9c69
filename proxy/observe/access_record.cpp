// SPDX-License-Identifier: Apache-2.0
// What a record says, and its flat JSON.
#include "proxy/observe/access_record.hpp"

#include "proxy/observe/record_writer.hpp"

namespace weir::proxy {

std::string_view to_string(record_decision d) noexcept {
  switch (d) {
    case record_decision::allow:
      return "allow";
    case record_decision::deny:
      return "deny";
    case record_decision::shadow_deny:
      return "shadow_deny";
    case record_decision::exempt:
      return "exempt";
    case record_decision::blocked:
      return "blocked";
    case record_decision::rejected:
      break;
  }
  return "rejected";
}

std::string_view json_line(const access_record& r) {
  constexpr std::size_t names_room = 36 * 18;
  record_writer w(r, names_room);
  w.time("{\"ts\":", r.time_us);
  w.text(",\"request_id\":", r.request_id);
  w.text(",\"trace_id\":", r.trace_id);
  w.text(",\"span_id\":", r.span_id);
  w.text(",\"client_ip\":", r.client_ip);
  w.text(",\"peer_ip\":", r.peer_ip);
  w.text(",\"user_hash\":", r.user_hash);
  w.text(",\"method\":", r.method);
  w.text(",\"path\":", r.path);
  w.text(",\"query\":", r.query);
  w.text(",\"host\":", r.host);
  w.text(",\"proto\":", r.proto);
  w.text(",\"listener\":", r.listener);
  w.fields(",\"headers\":", r.headers, false);
  w.text(",\"route\":", r.route);
  w.text(",\"upstream\":", r.upstream);
  w.text(",\"upstream_addr\":", r.upstream_addr);
  w.number(",\"status\":", r.status);
  w.text(",\"decision\":", plain_text(to_string(r.decision)));
  w.text(",\"rule\":", r.rule);
  w.text(",\"key_hash\":", r.key_hash);
  w.text(",\"reason\":", r.reason);
  w.text(",\"exempt\":", r.exempt);
  w.list(",\"shadow\":", r.shadow);
  w.optional_number(",\"limit\":", r.limit);
  w.optional_number(",\"remaining\":", r.remaining);
  w.optional_milliseconds(",\"retry_after_ms\":", r.retry_after_us);
  w.optional_milliseconds(",\"duration_ms\":", r.duration_us);
  w.optional_milliseconds(",\"upstream_ms\":", r.upstream_us);
  w.optional_milliseconds(",\"limiter_ms\":", r.limiter_us);
  w.optional_milliseconds(",\"queue_ms\":", r.queue_us);
  w.number(",\"attempts\":", r.attempts);
  w.number(",\"bytes_in\":", r.bytes_in);
  w.number(",\"bytes_out\":", r.bytes_out);
  w.text(",\"pod\":", r.pod);
  w.text(",\"namespace\":", r.pod_namespace);
  w.text(",\"node\":", r.node);
  if (w.truncated()) w.put(",\"truncated\":true");
  w.put("}\n");
  return w.line();
}

}  // namespace weir::proxy
