// SPDX-License-Identifier: Apache-2.0
// Keys of TLS that the store, upstreams and listeners have in common.
#pragma once

#include "config/addresses.hpp"
#include "config/table.hpp"

#include <string>
#include <vector>

namespace weir::config {

inline constexpr std::size_t longest_pem = std::size_t{256} * 1024;

/// A PEM file's text; `what` must stand in it. A running process watches the file.
template <class T>
value_type<T> pem_file(std::string T::*member, std::string_view what) {
  return {"file", "PEM, up to 256KiB", [=](T& out, const node& n, context& ctx) {
            auto content = read_file(n, ctx, longest_pem);
            if (!content) return;
            const auto begin = content->find("-----BEGIN ");
            if (begin == std::string::npos || content->find(what, begin) == std::string::npos) {
              ctx.report.error("E0502", n.at, fmt::format("the file holds no {} in PEM form", what));
              return;
            }
            out.*member = std::move(*content);
          }};
}

template <class T>
value_type<T> minimum_version(bool T::*only_tls13) {
  return word(only_tls13, choices_of<bool>{{"tls1.2", false}, {"tls1.3", true}});
}

/// Of a connection that weir opens: `T` has ca, server_name, certificate, key and only_tls13.
template <class T>
std::vector<key_row<T>> client_tls_rows() {
  const value_type<T> server_name{"host", "", [](T& out, const node& n, context& ctx) {
                                    const auto text = read_text(n, ctx);
                                    if (!text) return;
                                    if (!is_host(*text)) {
                                      ctx.report.error("E0213", n.at,
                                                       fmt::format("{} is no host name", shown(n)));
                                      return;
                                    }
                                    out.server_name = *text;
                                  }};
  return {
      row("ca_file", "the system's authorities", pem_file(&T::ca, "CERTIFICATE"), "who may have signed"),
      row("server_name", "the host that is dialled", server_name, "sent as SNI and verified"),
      row("certificate", "", pem_file(&T::certificate, "CERTIFICATE"), "shown to the server; needs `key`"),
      row("key", "", pem_file(&T::key, "PRIVATE KEY"), "of `certificate`"),
      row("min_version", "tls1.2", minimum_version(&T::only_tls13)),
  };
}

}  // namespace weir::config
