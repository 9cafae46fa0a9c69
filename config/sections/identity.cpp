// SPDX-License-Identifier: Apache-2.0
// client_ip, identity
#include "config/sections/sections.hpp"

namespace weir::config {
namespace {

void read_trusted_proxies(proxy::client_ip_settings& out, const node& n, context& ctx) {
  out.trusted_proxies.clear();
  read_list(n, ctx, 0, 1024, single::accepted, [&](const node& item) {
    const auto text = read_text(item, ctx);
    if (!text) return;
    const auto network = identity::parse_cidr(*text);
    if (!network) {
      ctx.report.error("E0212", item.at, fmt::format("{} is no network", shown(item)),
                       {"such as `10.0.0.0/8`, without bits set behind the prefix", ""});
      return;
    }
    out.trusted_proxies.push_back(*network);
  });
}

/// Lower-case field name.
std::optional<std::string> read_field_name(const node& n, context& ctx) {
  const auto text = read_text(n, ctx);
  if (!text) return std::nullopt;
  if (!is_token(*text)) {
    ctx.report.error("E0213", n.at, fmt::format("{} is no field name", shown(n)));
    return std::nullopt;
  }
  return lower_case(*text);
}

void read_client_header(proxy::client_ip_settings& out, const node& n, context& ctx) {
  auto name = read_field_name(n, ctx);
  if (!name) return;
  if (*name == "forwarded") {
    ctx.report.error("E0313", n.at, "reading `Forwarded` (RFC 7239) is not built yet",
                     {"use X-Forwarded-For", ""});
    return;
  }
  out.header = *name == "none" ? std::string{} : std::move(*name);
}

const table<proxy::client_ip_settings>& group_table() {
  using s = proxy::client_ip_settings;
  static const table<s> all{
      "`client_ip.group`",
      {
          row("ipv4", "32", integer(&s::group_ipv4, 8, 32), "prefix length of one bucket"),
          row("ipv6", "64", integer(&s::group_ipv6, 32, 128), "prefix length of one bucket"),
      }};
  return all;
}

const table<proxy::client_ip_settings>& client_ip_table() {
  using s = proxy::client_ip_settings;
  static const table<s> all{
      "`client_ip`",
      {
          row("trusted_proxies", "[]", value_type<s>{"list of networks", "up to 1024", read_trusted_proxies},
              "only these may say who the client is; `[]` = nobody"),
          row("header", "X-Forwarded-For", value_type<s>{"field name or `none`", "", read_client_header},
              "its rightmost address that is not a trusted proxy is the client"),
          group<s, s>(
              "group", [](s& out) -> s& { return out; }, group_table),
      }};
  return all;
}

const table<proxy::user_source>& user_table() {
  using s = proxy::user_source;
  static const table<s> all{
      "a source of users",
      {
          row("header", required, text_of("field name", "", &s::header, read_field_name),
              "a request field that names the user"),
          row("hash", "true", boolean(&s::hash), "`false` lets the raw name into logs"),
      }};
  return all;
}

const table<proxy::settings>& identity_table() {
  using s = proxy::settings;
  static const table<s> all = [] {
    auto user = row("user", "[]",
                    value_type<s>{"list of maps", "up to 8",
                                  [](s& out, const node& n, context& ctx) {
                                    out.users.clear();
                                    read_list(n, ctx, 0, 8, single::refused, [&](const node& item) {
                                      proxy::user_source source;
                                      if (read_map(item, user_table(), source, ctx, "a source of users")) {
                                        out.users.push_back(std::move(source));
                                      }
                                    });
                                  }},
                    "the first source that yields a value is the user");
    user.below = [](const std::string& path, std::vector<key_doc>& out) {
      describe(user_table(), path + "[]", out);
    };
    return table<s>{"`identity`", {std::move(user)}};
  }();
  return all;
}

}  // namespace

std::vector<key_row<file_draft>> identity_rows() {
  using d = file_draft;
  auto client_ip = row("client_ip", "", value_type<d>{"", "", [](d& out, const node& n, context& ctx) {
                                                        read_map(n, client_ip_table(), out.settings.client_ip,
                                                                 ctx, "`client_ip`");
                                                        out.has_trusted_proxies =
                                                            n.find("trusted_proxies") != nullptr;
                                                      }});
  client_ip.below = [](const std::string& path, std::vector<key_doc>& out) {
    describe(client_ip_table(), path, out);
  };
  return {
      std::move(client_ip),
      group<d, proxy::settings>(
          "identity", [](d & out) -> auto& { return out.settings; }, identity_table),
  };
}

}  // namespace weir::config
