// SPDX-License-Identifier: Apache-2.0
#include "config/identity_checks.hpp"

#include "config/file_lines.hpp"
#include "config/values.hpp"
#include "limiter/path_template.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace weir::config {
namespace {

constexpr std::size_t lines_max = 1'000'000;
constexpr std::size_t tiers_max = 256;

/// One allocation for all lines.
std::vector<limiter::value_table::entry> room_for_lines(std::string_view content) {
  std::vector<limiter::value_table::entry> entries;
  const auto line_ends = static_cast<std::size_t>(std::count(content.begin(), content.end(), '\n'));
  entries.reserve(std::min(line_ends + 1, lines_max));
  return entries;
}

void too_long(const place& at, reporter& report) {
  report.error("E0502", at, fmt::format("a file of more than {} lines", lines_max));
}

// ---- tokens ----

void complete_jwt(file_draft& draft, reporter& report) {
  if (!draft.jwt) return;
  jwt_draft& d = *draft.jwt;
  const int key_files = (d.jwks_at.line != 0 ? 1 : 0) + (d.secret_at.line != 0 ? 1 : 0);
  if (d.unverified) {
    report.warn("W0205", d.at, "`identity.jwt.unverified`: anyone can name any user",
                {"", "only behind something that has verified every token"});
    if (key_files > 0 || !d.algorithms.empty())
      report.error("E0304", d.at, "keys and algorithms have no effect with `unverified: true`");
  } else if (key_files != 1) {
    report.error(key_files == 0 ? "E0302" : "E0304", d.at,
                 "`identity.jwt` needs exactly one of `jwks_file` and `secret_file`");
  } else if (d.algorithms_at.line == 0) {
    report.error("E0302", d.at, "`identity.jwt` has no `algorithms`",
                 {"such as `algorithms: [RS256]`: a token never chooses its own", ""});
  } else if (!d.algorithms.empty() && (d.jwks || d.secret)) {
    while (d.secret && (d.secret->ends_with('\n') || d.secret->ends_with('\r'))) d.secret->pop_back();
    auto loaded = d.jwks ? identity::jwt_keys::from_jwks(*d.jwks, d.algorithms)
                         : identity::jwt_keys::from_secret(*d.secret, d.algorithms);
    if (!loaded.keys) report.error("E0502", d.jwks ? d.jwks_at : d.secret_at, std::move(loaded.problem));
    d.value.keys = std::move(loaded.keys);
  }
  draft.settings.jwt = std::move(d.value);
}

/// Calls `visit` for every selector that may read a claim, with its place.
template <class Visit>
void for_each_selector(const file_draft& draft, Visit visit) {
  for (const user_draft& d : draft.users) visit(d.value.from, d.at);
  if (draft.tiers) {
    for (const tier_draft& d : *draft.tiers) visit(d.by ? *d.by : d.value.from, d.at);
  }
  for (const auto* list : {&draft.block, &draft.exempt}) {
    for (const list_draft& d : *list) {
      if (d.value.by) visit(*d.value.by, d.by_at);
    }
  }
  for (const rule_draft& d : draft.rules) {
    for (const limiter::selector& s : d.value.key) visit(s, d.key_at);
    for (const limiter::selector& s : d.value.fallback) visit(s, d.fallback_at);
    for (const override_draft& o : d.overrides) visit(*o.from, o.at);
  }
  for (const concurrency_draft& d : draft.concurrency) {
    for (const limiter::selector& s : d.value.key) visit(s, d.key_at);
  }
}

// ---- users and tiers ----

bool asks_for_certificates(const proxy::settings& s) {
  return std::any_of(s.listeners.begin(), s.listeners.end(), [](const proxy::listener_settings& l) {
    return std::any_of(l.tls.begin(), l.tls.end(), [](const proxy::certificate_settings& c) {
      return c.client_auth != proxy::client_auth::none;
    });
  });
}

void complete_users(file_draft& draft, reporter& report) {
  for (user_draft& d : draft.users) {
    if (d.sources != 1)
      report.error(d.sources == 0 ? "E0302" : "E0304", d.at,
                   "a source of users needs exactly one of `header`, `cookie`, `query`, `claim` and "
                   "`client_cert`");
    if (d.value.certificate && !asks_for_certificates(draft.settings))
      report.error("E0302", d.at, "`client_cert` needs a listener that asks for certificates",
                   {"add `tls: {client_ca: FILE, client_auth: required}` to a listener", ""});
    draft.settings.users.push_back(std::move(d.value));
  }
}

/// What is known when tiers are looked up.
bool is_known_early(const limiter::selector& selector) {
  return selector.text != "route" && selector.text != "upstream" && selector.text != "tier" &&
         !selector.text.starts_with("path_param:");
}

void read_tier_file(tier_draft& d, reporter& report) {
  auto entries = room_for_lines(*d.csv);
  const bool whole = for_each_line(*d.csv, lines_max, [&](const file_line& line) {
    const auto comma = line.text.rfind(',');
    const auto value = trimmed(line.text.substr(0, comma));
    const auto tier =
        comma == std::string_view::npos ? std::string_view{} : trimmed(line.text.substr(comma + 1));
    if (value.empty() || !is_name(tier)) {
      report.error("E0502", d.file_at, fmt::format("line {} is not `value,tier`", line.number));
      return false;
    }
    auto known = std::find(d.value.names.begin(), d.value.names.end(), tier);
    if (known == d.value.names.end()) known = d.value.names.insert(known, std::string(tier));
    if (d.value.names.size() > tiers_max) {
      report.error("E0502", d.file_at, fmt::format("more than {} tiers", tiers_max));
      return false;
    }
    entries.push_back(
        limiter::value_table::make_entry(value, static_cast<std::uint32_t>(known - d.value.names.begin())));
    return true;
  });
  if (!whole) too_long(d.file_at, report);
  const std::size_t count = entries.size();
  d.value.table = std::make_shared<const limiter::value_table>(std::move(entries));
  if (d.value.table->size() != count) report.error("E0502", d.file_at, "the file lists a value twice");
}

void complete_tier(file_draft& draft, tier_draft& d, reporter& report) {
  if (d.sources != 1)
    return report.error(d.sources == 0 ? "E0302" : "E0304", d.at,
                        "a source of tiers needs exactly one of `file`, `claim`, `header` and `constant`");
  const bool by_file = d.file_at.line != 0;
  if (by_file != d.by.has_value()) {
    report.error(by_file ? "E0302" : "E0304", d.at, "`file` and `by` of a tier need each other");
  } else if (by_file && !is_known_early(*d.by)) {
    report.error("E0304", d.at,
                 fmt::format("{} is not known yet when tiers are looked up", in_ticks(d.by->text)));
  }
  if (d.by) d.value.from = std::move(*d.by);
  if (d.csv) read_tier_file(d, report);
  if (!draft.settings.tiers.empty() && !draft.settings.tiers.back().constant.empty())
    report.error("E0304", d.at, "a source behind a constant is never asked");
  draft.settings.tiers.push_back(std::move(d.value));
}

// ---- block and exempt ----

void read_networks(list_draft& d, reporter& report) {
  std::vector<limiter::address_range> ranges;
  const bool whole = for_each_line(*d.content, lines_max, [&](const file_line& line) {
    const auto network = identity::parse_cidr(line.text);
    if (network) {
      identity::append_ranges(ranges, *network);
    } else {
      report.error("E0502", d.file_at, fmt::format("line {} is no network", line.number));
    }
    return network.has_value();
  });
  if (!whole) too_long(d.file_at, report);
  d.value.clients = std::make_shared<const limiter::address_set>(std::move(ranges));
}

void read_values(list_draft& d, reporter& report) {
  auto entries = room_for_lines(*d.content);
  const bool whole = for_each_line(*d.content, lines_max, [&](const file_line& line) {
    entries.push_back(limiter::value_table::make_entry(line.text, 0));
    return true;
  });
  if (!whole) too_long(d.file_at, report);
  d.value.values = std::make_shared<const limiter::value_table>(std::move(entries));
}

}  // namespace

void check_claims(const file_draft& draft, reporter& report) {
  int claims = 0;
  for_each_selector(draft, [&](const limiter::selector& selector, const place& at) {
    if (!selector.text.starts_with("claim:")) return;
    ++claims;
    if (!draft.jwt)
      report.error("E0302", at, fmt::format("{} needs `identity.jwt`", in_ticks(selector.text)),
                   {"only verified tokens have claims", ""});
  });
  if (draft.jwt && claims == 0)
    report.warn("W0207", draft.jwt->at, "`identity.jwt` has no effect: nothing reads a claim",
                {"add `user: [{claim: sub}]` to `identity`", ""});
}

void check_path_parameters(const file_draft& draft, reporter& report) {
  for_each_selector(draft, [&](const limiter::selector& selector, const place& at) {
    if (!selector.text.starts_with("path_param:")) return;
    const auto& routes = draft.settings.routes;
    const bool known = std::any_of(routes.begin(), routes.end(), [&](const proxy::route_settings& route) {
      const auto& paths = route.match.paths;
      return std::any_of(paths.begin(), paths.end(), [&](const std::string& path) {
        return limiter::has_path_parameter(path, selector.argument);
      });
    });
    if (!known)
      report.error(
          "E0407", at,
          fmt::format("no route has a segment `{{{}}}` for {}", selector.argument, in_ticks(selector.text)),
          {"write it in `routes[].match.path`, as in `/users/{id}`", ""});
  });
}

void complete_identity(file_draft& draft, reporter& report) {
  complete_jwt(draft, report);
  complete_users(draft, report);
  if (draft.tiers) {
    draft.settings.tiers.clear();
    for (tier_draft& d : *draft.tiers) complete_tier(draft, d, report);
  }
  if (draft.hops_at.line != 0 && draft.has_trusted_proxies)
    report.error("E0304", draft.hops_at, "`hops` and `trusted_proxies` exclude each other",
                 {"networks are safer: a request that took another way is noticed", ""});
}

void complete_list(std::vector<list_draft>& drafts, std::vector<proxy::listed_requests>& out,
                   reporter& report) {
  for (list_draft& d : drafts) {
    const bool by_file = d.file_at.line != 0;
    if (by_file == (d.match_at.line != 0))
      report.error(by_file ? "E0304" : "E0302", d.at, "an item needs exactly one of `match` and `file`");
    if (by_file != (d.by_at.line != 0))
      report.error(by_file ? "E0302" : "E0304", d.at, "`file` and `by` need each other");
    d.value.match = std::move(d.match.value);
    if (d.content && d.value.by) {
      if (d.value.by->text == "client_ip") {
        read_networks(d, report);
      } else {
        read_values(d, report);
      }
    }
    out.push_back(std::move(d.value));
  }
}

bool has_parameter(const proxy::route_settings& route, std::string_view name) {
  const auto& paths = route.match.paths;
  return !paths.empty() && std::all_of(paths.begin(), paths.end(), [name](const std::string& path) {
    return limiter::has_path_parameter(path, name);
  });
}

bool may_lack(const limiter::selector& selector, const proxy::settings& settings,
              const limiter::request_match& match) {
  if (selector.text.starts_with("path_param:")) {
    const auto lacks = [&](const std::string& name) {
      return std::none_of(settings.routes.begin(), settings.routes.end(), [&](const auto& route) {
        return route.name == name && has_parameter(route, selector.argument);
      });
    };
    return match.routes.empty() || std::any_of(match.routes.begin(), match.routes.end(), lacks);
  }
  if (selector.text == "tier") return settings.tiers.empty() || settings.tiers.back().constant.empty();
  return limiter::can_be_absent(selector);
}

void fold_paths(limiter::request_match& match) {
  for (std::string& path : match.paths) path = limiter::folded_template(path);
  for (limiter::request_match& other : match.excluded) fold_paths(other);
}

}  // namespace weir::config
