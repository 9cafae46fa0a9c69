// SPDX-License-Identifier: Apache-2.0
// Elastic Common Schema, nested.
#include "proxy/observe/record_writer.hpp"

namespace weir::proxy {
namespace {

/// event.outcome speaks of what became of the request, as ECS has it: refused or broken is failure.
std::string_view outcome_of(const access_record& r) noexcept {
  const bool admitted = r.decision == record_decision::allow || r.decision == record_decision::shadow_deny ||
                        r.decision == record_decision::exempt;
  if (!admitted || r.status >= 500 || r.status == 499) return "failure";
  return "success";
}

}  // namespace

std::string_view ecs_line(const access_record& r) {
  constexpr std::size_t names_room = 1400;
  record_writer w(r, names_room);
  w.time("{\"@timestamp\":", r.time_us);
  w.put(",\"ecs\":{\"version\":\"8.11.0\"}");
  if (!r.client_ip.empty()) {
    w.text(",\"client\":{\"ip\":", r.client_ip);
    w.put("}");
  }
  w.number(",\"http\":{\"response\":{\"status_code\":", r.status);
  w.number(",\"bytes\":", r.bytes_out);
  w.number("},\"request\":{\"bytes\":", r.bytes_in);
  w.text(",\"id\":", r.request_id);
  w.text(",\"method\":", r.method);
  w.fields(",\"headers\":", r.headers, false);
  w.put("}");
  if (r.proto.view().size() > 5) w.text(",\"version\":", r.proto.view().substr(5));
  w.put("}");
  if (!r.path.empty()) {
    w.text(",\"url\":{\"path\":", r.path);
    w.text(",\"query\":", r.query);
    w.text(",\"domain\":", r.host);
    w.put("}");
  }
  w.number(",\"event\":{\"duration\":", r.duration_us * 1000);
  w.text(",\"outcome\":", outcome_of(r));
  w.text(",\"reason\":", r.reason);
  w.put("}");
  if (!r.rule.empty()) {
    w.text(",\"rule\":{\"name\":", r.rule);
    w.put("}");
  }
  if (!r.trace_id.empty()) {
    w.text(",\"trace\":{\"id\":", r.trace_id);
    w.text("},\"span\":{\"id\":", r.span_id);
    w.put("}");
  }
  put_remaining(w, r, {.request_id = true, .trace = true, .rule_and_reason = true});
  w.put("}\n");
  return w.line();
}

}  // namespace weir::proxy
