// SPDX-License-Identifier: Apache-2.0
// A line as Caddy writes it: log analysers know it by that name.
#include "proxy/observe/record_writer.hpp"

namespace weir::proxy {

std::string_view caddy_line(const access_record& r) {
  constexpr std::size_t names_room = 1200;
  record_writer w(r, names_room);
  w.put(R"({"level":"info")");
  w.seconds(",\"ts\":", r.time_us);
  w.put(R"(,"logger":"http.log.access","msg":"handled request")");
  w.put(",\"request\":{\"remote_ip\":");
  w.quoted(r.peer_ip.view());
  w.text(",\"client_ip\":", r.client_ip);
  w.text(",\"proto\":", r.proto);
  w.text(",\"method\":", r.method);
  w.text(",\"host\":", r.host);
  w.target(",\"uri\":", r);
  w.fields(",\"headers\":", r.headers, true);
  w.put("}");
  w.number(",\"bytes_read\":", r.bytes_in);
  w.seconds(",\"duration\":", r.duration_us);
  w.number(",\"size\":", r.bytes_out);
  w.number(",\"status\":", r.status);
  put_remaining(w, r, {.peer = true});
  w.put("}\n");
  return w.line();
}

}  // namespace weir::proxy
