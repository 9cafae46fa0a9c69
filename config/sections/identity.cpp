// SPDX-License-Identifier: Apache-2.0
// client_ip, identity
#include "config/sections/sections.hpp"

#include <array>

namespace weir::config {
namespace {

void read_trusted_proxies(proxy::client_ip_settings& out, const node& n, context& ctx) {
  out.trusted_proxies.clear();
  read_list(n, ctx, 0, 1024, single::accepted, [&](const node& item) {
    if (const auto network = read_network(item, ctx)) out.trusted_proxies.push_back(*network);
  });
}

void read_client_header(proxy::client_ip_settings& out, const node& n, context& ctx) {
  auto name = read_field_name(n, ctx);
  if (name) out.header = *name == "none" ? std::string{} : std::move(*name);
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
          row("trusted_proxies", "[]", value_type<s>{"network or list", "up to 1024", read_trusted_proxies},
              "only these may say who the client is; `[]` = nobody"),
          row("header", "X-Forwarded-For", value_type<s>{"field name or `none`", "", read_client_header},
              "its rightmost address that is not a trusted proxy is the client; `Forwarded` is RFC 7239"),
          row("hops", "", integer(&s::hops, 1, 32), "proxies in front, instead of `trusted_proxies`"),
          group<s, s>(
              "group", [](s& out) -> s& { return out; }, group_table),
      }};
  return all;
}

/// A source that is `PREFIX:text` as a selector.
template <class T>
value_type<T> selector_source(std::string type, const char* prefix, limiter::selector& (*into)(T&)) {
  return {std::move(type), "", [=](T& out, const node& n, context& ctx) {
            ++out.sources;
            const auto text = read_text(n, ctx);
            if (!text) return;
            auto parsed = limiter::parse_selector(prefix + std::string{*text});
            if (parsed) {
              into(out) = std::move(*parsed);
            } else {
              ctx.report.error("E0213", n.at, fmt::format("{} is no name", shown(n)));
            }
          }};
}

void read_certificate_name(user_draft& out, const node& n, context& ctx) {
  static constexpr std::array<std::string_view, 3> words{"subject", "san_dns", "san_uri"};
  ++out.sources;
  if (const auto index = read_word(n, ctx, words))
    out.value.certificate = static_cast<proxy::certificate_name>(*index);
}

const table<user_draft>& user_table() {
  using d = user_draft;
  static const table<d> all = [] {
    const auto from = [](d& out) -> limiter::selector& { return out.value.from; };
    return table<d>{"a source of users",
                    {
                        row("header", "", selector_source<d>("field name", "header:", from),
                            "a request field that names the user"),
                        row("cookie", "", selector_source<d>("cookie name", "cookie:", from)),
                        row("query", "", selector_source<d>("parameter name", "query:", from),
                            "its value is left out of logs, unless `hash: false`"),
                        row("claim", "", selector_source<d>("claim name", "claim:", from),
                            "of the verified token, usually `sub`"),
                        row("client_cert", "",
                            value_type<d>{"word", "`subject` `san_dns` `san_uri`", read_certificate_name},
                            "a name in the verified client certificate; of several the first"),
                        row("hash", "true",
                            value_type<d>{"boolean", "",
                                          [](d& out, const node& n, context& ctx) {
                                            if (const auto value = read_boolean(n, ctx))
                                              out.value.hash = *value;
                                          }},
                            "`false` lets the raw name into logs"),
                    }};
  }();
  return all;
}

constexpr std::size_t values_file_max = std::size_t{64} * 1024 * 1024;

const table<tier_draft>& tier_table() {
  using d = tier_draft;
  static const table<d> all = [] {
    const auto from = [](d& out) -> limiter::selector& { return out.value.from; };
    auto header = selector_source<d>("field name", "header:", from);
    header.read = [read = header.read](d& out, const node& n, context& ctx) {
      out.value.trusted_only = true;
      read(out, n, ctx);
    };
    return table<d>{
        "a source of tiers",
        {
            row("file", "",
                value_type<d>{"file", "up to 1000000 lines `value,tier`",
                              [](d& out, const node& n, context& ctx) {
                                ++out.sources;
                                out.file_at = n.at;
                                out.csv = read_file(n, ctx, values_file_max);
                              }},
                "read again with the policy"),
            row("by", "",
                value_type<d>{"selector", "",
                              [](d& out, const node& n, context& ctx) { out.by = read_selector(n, ctx); }},
                "whose value is looked up in `file`"),
            row("claim", "", selector_source<d>("claim name", "claim:", from), "of the verified token"),
            row("header", "", std::move(header), "only from trusted proxies"),
            row("constant", "",
                value_type<d>{"name", "",
                              [](d& out, const node& n, context& ctx) {
                                ++out.sources;
                                if (auto name = read_name(n, ctx)) out.value.constant = *name;
                              }},
                "always; the last source"),
        }};
  }();
  return all;
}

void read_algorithms(jwt_draft& out, const node& n, context& ctx) {
  out.algorithms_at = n.at;
  const auto names = identity::jwt_algorithm_names();
  read_list(n, ctx, 1, names.size(), single::refused, [&](const node& item) {
    if (const auto index = read_word(item, ctx, names)) out.algorithms.emplace_back(names[*index]);
  });
}

template <class T>
value_type<T> in_jwt(value_type<identity::jwt_settings> inner) {
  return {inner.type, inner.range,
          [read = std::move(inner.read)](T& out, const node& n, context& ctx) { read(out.value, n, ctx); }};
}

value_type<jwt_draft> text_in_jwt(std::string identity::jwt_settings::*member) {
  return {"text", "", [member](jwt_draft& out, const node& n, context& ctx) {
            const auto text = read_text(n, ctx);
            if (!text) return;
            if (text->empty()) ctx.report.error("E0205", n.at, "an empty text matches no token");
            out.value.*member = *text;
          }};
}

const table<jwt_draft>& jwt_table() {
  using d = jwt_draft;
  using s = identity::jwt_settings;
  using namespace std::chrono_literals;
  constexpr std::size_t key_file_max = 256 * 1024;
  static const table<d> all{
      "`identity.jwt`",
      {
          row("jwks_file", "",
              value_type<d>{"file", "JWK set, up to 16 keys",
                            [](d& out, const node& n, context& ctx) {
                              out.jwks_at = n.at;
                              out.jwks = read_file(n, ctx, key_file_max);
                            }},
              "this or `secret_file`; read again with the policy"),
          row("secret_file", "",
              value_type<d>{"file", "at least as long as the hash",
                            [](d& out, const node& n, context& ctx) {
                              out.secret_at = n.at;
                              out.secret = read_file(n, ctx, 4096);
                            }},
              "of HS algorithms; line ends at its end are not part of it"),
          row("algorithms", "",
              value_type<d>{"list of words", "RS, PS, ES and HS with 256, 384 and 512", read_algorithms},
              "required, unless `unverified`; each key is pinned to those that fit it"),
          row("issuer", "", text_in_jwt(&s::issuer), "what `iss` must be"),
          row("audience", "", text_in_jwt(&s::audience), "what `aud` must be or hold"),
          row("header", "Authorization",
              value_type<d>{"field name", "",
                            [](d& out, const node& n, context& ctx) {
                              if (auto name = read_field_name(n, ctx)) out.value.header = std::move(*name);
                            }},
              "where the token is, behind `Bearer `"),
          row("leeway", "30s", in_jwt<d>(duration(&s::leeway, 0ms, 10min)), "for `exp` and `nbf`"),
          row("require_exp", "true", in_jwt<d>(boolean(&s::require_exp)),
              "a token without `exp` is not valid"),
          row("unverified", "false",
              value_type<d>{"boolean", "",
                            [](d& out, const node& n, context& ctx) {
                              if (const auto value = read_boolean(n, ctx)) out.unverified = *value;
                            }},
              "`true` believes every token: only behind something that verified it"),
      }};
  return all;
}

template <class T>
void read_sources(std::vector<T>& out, const node& n, context& ctx, const table<T>& keys) {
  out.clear();
  read_list(n, ctx, 0, 8, single::refused, [&](const node& item) {
    T source;
    source.at = item.at;
    if (read_map(item, keys, source, ctx, keys.what)) out.push_back(std::move(source));
  });
}

const table<file_draft>& identity_table() {
  using d = file_draft;
  static const table<d> all = [] {
    auto jwt = row("jwt", "", value_type<d>{"", "", [](d& out, const node& n, context& ctx) {
                                              out.jwt.emplace();
                                              out.jwt->at = n.at;
                                              read_map(n, jwt_table(), *out.jwt, ctx, "`identity.jwt`");
                                            }});
    jwt.below = [](const std::string& path, std::vector<key_doc>& out) { describe(jwt_table(), path, out); };
    auto user = row("user", "[]",
                    value_type<d>{"list of maps", "up to 8",
                                  [](d& out, const node& n, context& ctx) {
                                    read_sources(out.users, n, ctx, user_table());
                                  }},
                    "the first source that yields a value is the user");
    user.below = [](const std::string& path, std::vector<key_doc>& out) {
      describe(user_table(), path + "[]", out);
    };
    auto tier = row("tier", "[{constant: default}]",
                    value_type<d>{"list of maps", "up to 8",
                                  [](d& out, const node& n, context& ctx) {
                                    read_sources(out.tiers.emplace(), n, ctx, tier_table());
                                  }},
                    "the first source that yields a value is the tier");
    tier.below = [](const std::string& path, std::vector<key_doc>& out) {
      describe(tier_table(), path + "[]", out);
    };
    return table<d>{"`identity`", {std::move(jwt), std::move(user), std::move(tier)}};
  }();
  return all;
}

}  // namespace

std::optional<std::string> read_field_name(const node& n, context& ctx) {
  const auto text = read_text(n, ctx);
  if (!text) return std::nullopt;
  if (!is_token(*text)) {
    ctx.report.error("E0213", n.at, fmt::format("{} is no field name", shown(n)));
    return std::nullopt;
  }
  return lower_case(*text);
}

std::vector<key_row<file_draft>> identity_rows() {
  using d = file_draft;
  auto client_ip = row("client_ip", "", value_type<d>{"", "", [](d& out, const node& n, context& ctx) {
                                                        read_map(n, client_ip_table(), out.settings.client_ip,
                                                                 ctx, "`client_ip`");
                                                        const auto* proxies = n.find("trusted_proxies");
                                                        out.has_trusted_proxies = proxies != nullptr;
                                                        const auto* hops = n.find("hops");
                                                        if (hops != nullptr) out.hops_at = hops->at;
                                                      }});
  client_ip.below = [](const std::string& path, std::vector<key_doc>& out) {
    describe(client_ip_table(), path, out);
  };
  return {
      std::move(client_ip),
      group<d, d>(
          "identity", [](d & out) -> auto& { return out; }, identity_table),
  };
}

}  // namespace weir::config
