// SPDX-License-Identifier: Apache-2.0
// listen
#include "config/sections/sections.hpp"
#include "config/sections/tls.hpp"
#include "proxy/tls/pem.hpp"

#include <array>

namespace weir::config {
namespace {

struct listener_draft {
  proxy::listener_settings value;
  place name_at;
};

std::optional<proxy::socket_address> read_address(const node& n, context& ctx) {
  return read_unit(n, ctx, "E0209", parse_bind_address);
}

// ---- tls ----

const table<proxy::certificate_settings>& certificate_table() {
  using s = proxy::certificate_settings;
  using proxy::client_auth;
  static const table<s> all{
      "`tls`",
      {
          row("certificate", required, pem_file(&s::certificate, "CERTIFICATE"),
              "the server's first, then those that signed it"),
          row("key", required, pem_file(&s::key, "PRIVATE KEY"), "of `certificate`"),
          row("min_version", "tls1.2", minimum_version(&s::only_tls13)),
          row("client_ca", "", pem_file(&s::client_ca, "CERTIFICATE"),
              "who may have signed clients' certificates"),
          row("client_auth", "none",
              word(&s::client_auth, choices_of<client_auth>{{"none", client_auth::none},
                                                            {"optional", client_auth::optional},
                                                            {"required", client_auth::required}}),
              "clients need, or may show, a certificate of `client_ca`"),
      }};
  return all;
}

void check_certificate(const proxy::certificate_settings& s, const node& n, context& ctx) {
  if (!s.certificate.empty() && !s.key.empty()) {
    const auto problem = proxy::tls::pair_problem(s.certificate, s.key);
    if (!problem.empty()) ctx.report.error("E0502", n.at, problem);
  }
  const bool asks = s.client_auth != proxy::client_auth::none;
  if (asks && n.find("client_ca") == nullptr)
    ctx.report.error("E0302", n.at, "client certificates without `client_ca`",
                     {"whom may they have been signed by?", ""});
  if (!asks && n.find("client_ca") != nullptr)
    ctx.report.error("E0304", n.at, "`client_ca` has no effect without `client_auth`",
                     {"add `client_auth: required` or `optional`", ""});
  if (!s.client_ca.empty() && proxy::tls::parse_certificates(s.client_ca).empty())
    ctx.report.error("E0502", n.at, "the file of `client_ca` holds no usable certificate in PEM form");
}

void read_certificates(listener_draft& out, const node& n, context& ctx) {
  const auto read_one = [&](const node& item) {
    proxy::certificate_settings certificate;
    if (!read_map(item, certificate_table(), certificate, ctx, "`tls`")) return;
    check_certificate(certificate, item, ctx);
    out.value.tls.push_back(std::move(certificate));
  };
  if (n.kind == node_kind::map) return read_one(n);
  read_list(n, ctx, 1, 64, single::refused, read_one);
}

// ---- proxy_protocol ----

void read_networks(std::vector<identity::cidr>& out, const node& n, context& ctx) {
  out.clear();
  read_list(n, ctx, 1, 1024, single::accepted, [&](const node& item) {
    const auto text = read_text(item, ctx);
    if (!text) return;
    const auto network = identity::parse_cidr(*text);
    if (network) return out.push_back(*network);
    ctx.report.error("E0212", item.at, fmt::format("{} is no network", shown(item)),
                     {"such as `10.0.0.0/8`, without bits set behind the prefix", ""});
  });
}

const table<proxy::proxy_protocol_settings>& proxy_protocol_table() {
  using s = proxy::proxy_protocol_settings;
  static constexpr std::array<std::string_view, 2> versions{"v1", "v2"};
  static const table<s> all{
      "`proxy_protocol`",
      {
          row("from", required,
              value_type<s>{"network or list", "1–1024",
                            [](s& out, const node& n, context& ctx) { read_networks(out.from, n, ctx); }},
              "peers that begin every connection with a PROXY header; any other peer is closed"),
          row("versions", "[v1, v2]",
              value_type<s>{"list", "`v1` `v2`",
                            [](s& out, const node& n, context& ctx) {
                              out.v1 = out.v2 = false;
                              read_list(n, ctx, 1, 2, single::accepted, [&](const node& item) {
                                if (const auto index = read_word(item, ctx, versions))
                                  (*index == 0 ? out.v1 : out.v2) = true;
                              });
                            }}),
      }};
  return all;
}

// ---- one listener ----

const table<listener_draft>& listener_table() {
  using d = listener_draft;
  static const table<d> all = [] {
    auto tls = row("tls", "", value_type<d>{"map or list of maps", "1–64", read_certificates},
                   "of several the name that a client asks for picks; the first is the default");
    tls.below = [](const std::string& path, std::vector<key_doc>& out) {
      describe(certificate_table(), path, out);
    };
    return table<d>{"a listener",
                    {
                        row("name", "the address",
                            value_type<d>{"name", "",
                                          [](d& out, const node& n, context& ctx) {
                                            out.name_at = n.at;
                                            if (auto name = read_name(n, ctx))
                                              out.value.name = std::move(*name);
                                          }},
                            "metric label"),
                        row("address", required,
                            value_type<d>{"address", "`HOST:PORT` or `unix:PATH`",
                                          [](d& out, const node& n, context& ctx) {
                                            if (auto address = read_address(n, ctx))
                                              out.value.address = std::move(*address);
                                            if (n.kind == node_kind::scalar && out.value.name.empty()) {
                                              out.value.name = n.text;
                                              out.name_at = n.at;
                                            }
                                          }}),
                        std::move(tls),
                        row("headers", "`deny.headers`",
                            value_type<d>{"list of words", emitter_choices(),
                                          [](d& out, const node& n, context& ctx) {
                                            out.value.headers = read_emitters(n, ctx);
                                          }},
                            "rate-limit fields of this listener's responses"),
                        group<d, proxy::proxy_protocol_settings>(
                            "proxy_protocol", [](d & out) -> auto& { return out.value.proxy_protocol; },
                            proxy_protocol_table),
                    }};
  }();
  return all;
}

void read_listeners(file_draft& out, const node& n, context& ctx) {
  out.settings.listeners.clear();
  read_list(n, ctx, 1, 16, single::accepted, [&](const node& item) {
    listener_draft d;
    if (item.kind == node_kind::scalar) {
      if (auto address = read_address(item, ctx)) d.value.address = std::move(*address);
      d.value.name = item.text;
      d.name_at = item.at;
    } else if (!read_map(item, listener_table(), d, ctx, "a listener")) {
      return;
    }
    out.settings.listeners.push_back(std::move(d.value));
    out.listener_names_at.push_back(d.name_at);
  });
}

}  // namespace

key_row<file_draft> listen_row() {
  auto listen = row("listen", "0.0.0.0:8080",
                    value_type<file_draft>{"address, or list of addresses or {name, address}",
                                           "1–16 listeners", read_listeners},
                    "`HOST:PORT` or `unix:PATH`");
  listen.below = [](const std::string& path, std::vector<key_doc>& out) {
    describe(listener_table(), path + "[]", out);
  };
  return listen;
}

}  // namespace weir::config
