// SPDX-License-Identifier: Apache-2.0
#include "proxy/replay/log_knowledge.hpp"

#include "limiter/selectors/selector.hpp"
#include "proxy/identity/keyed_hash.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace weir::replay {
namespace {

using answer = std::optional<unknown>;

/// Headers that no log of weir or Caddy shows.
constexpr std::array<std::string_view, 5> secret_headers{"authorization", "cookie", "set-cookie", "x-api-key",
                                                         "proxy-authorization"};

bool is_listed(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// `header` of `header:x-a`.
std::string_view name_of(const limiter::selector& s) noexcept {
  return std::string_view(s.text).substr(0, s.text.find(':'));
}

std::string variable_of(std::string_view header) {
  std::string name = "$http_" + std::string(header);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

}  // namespace

unknown log_knowledge::not_logged(std::string_view what, std::string_view variable) const {
  return {"the log does not hold " + std::string(what),
          "log it: weir's own log has it, nginx as " + std::string(variable)};
}

bool log_knowledge::users_are_hashes() const noexcept {
  return log_.user && std::any_of(policy_.users.begin(), policy_.users.end(),
                                  [](const proxy::user_source& source) { return source.hash; });
}

void log_knowledge::translate_users(limiter::request_match& match) const {
  if (!users_are_hashes()) return;
  for (limiter::value_match& wanted : match.values) {
    if (wanted.from.text != "user") continue;
    for (std::size_t i = wanted.values.size(); i > 0; --i) {
      std::string hash;
      identity::append_user_hash(hash, policy_.hash_key, wanted.values[i - 1]);
      wanted.values.push_back(std::move(hash));
    }
  }
  for (limiter::request_match& other : match.excluded) translate_users(other);
}

answer log_knowledge::lack_of_user() const {
  if (log_.user) return std::nullopt;
  for (const proxy::user_source& source : policy_.users) {
    if (auto why = lack_of(source.from)) return why;
  }
  return std::nullopt;
}

answer log_knowledge::lack_of_tier() const {
  for (const proxy::tier_source& source : policy_.tiers) {
    if (!source.constant.empty()) return std::nullopt;
    if (source.trusted_only) {
      return unknown{"a tier of " + source.from.text +
                         " counts only from trusted proxies, and the log does "
                         "not tell who connected",
                     "name the tier by a claim or a file"};
    }
    if (auto why = source.table ? lack_of_values(source.from) : lack_of(source.from)) {
      why->reason = "the tier comes from " + source.from.text + ", and " + why->reason;
      return why;
    }
  }
  return std::nullopt;
}

answer log_knowledge::lack_of_header(std::string_view name) const {
  const std::string what = "the header " + std::string(name);
  const bool secret = std::find(secret_headers.begin(), secret_headers.end(), name) != secret_headers.end();
  if (secret && (log_.by_policy || log_.every_header)) {
    return unknown{what + " is never logged", "limit by `user`, which is logged as a hash"};
  }
  if (log_.every_header || is_listed(log_.headers, name)) return std::nullopt;
  unknown why = not_logged(what, variable_of(name));
  if (log_.by_policy) why.reason = "the first lines of the log do not hold " + what;
  if (log_.by_policy) why.remedy = "add it to `access_log.headers`, and replay a log written since";
  return why;
}

answer log_knowledge::lack_of_query(std::string_view name) const {
  if (!log_.query) return not_logged("the query", "$request");
  const std::string text = "query:" + std::string(name);
  for (const proxy::user_source& source : policy_.users) {
    if (log_.by_policy && source.hash && source.from.text == text) {
      return unknown{"the query parameter " + std::string(name) + " is redacted in the log",
                     "limit by `user`, which is logged as a hash"};
    }
  }
  return std::nullopt;
}

answer log_knowledge::lack_of(const limiter::selector& s) const {
  const std::string_view name = name_of(s);
  if (name == "user") return lack_of_user();
  if (name == "tier") return lack_of_tier();
  if (name == "header") return lack_of_header(s.argument);
  if (name == "cookie") return lack_of_header("cookie");
  if (name == "query") return lack_of_query(s.argument);
  if (name == "claim") {
    return unknown{"the log does not hold the token's claims",
                   "name the claim as a source of `identity.user`"};
  }
  if (name == "host" && !log_.host) return not_logged("the host", "$host");
  return std::nullopt;  // the address, the method, the path and what follows from them
}

answer log_knowledge::lack_of_text(const limiter::selector& s) const {
  if (auto why = lack_of(s)) return why;
  if (s.text != "user" || !users_are_hashes() || policy_.hash_key_is_kept) return std::nullopt;
  return unknown{"users are logged as hashes of a key that is not kept",
                 "set `hash_key_file`, and replay a log written since"};
}

answer log_knowledge::lack_of_values(const limiter::selector& s) const {
  if (auto why = lack_of(s)) return why;
  if (s.text != "user" || !users_are_hashes()) return std::nullopt;
  return unknown{"users are logged as hashes, which cannot be looked up in a file",
                 "`hash: false` lets their names into the log"};
}

answer log_knowledge::lack_of(const limiter::request_match& match) const {
  if (!match.hosts.empty() && !log_.host) return not_logged("the host", "$host");
  for (const limiter::value_match& wanted : match.values) {
    if (auto why = wanted.values.empty() ? lack_of(wanted.from) : lack_of_text(wanted.from)) return why;
  }
  for (const limiter::request_match& other : match.excluded) {
    if (auto why = lack_of(other)) return why;
  }
  return std::nullopt;
}

answer log_knowledge::lack_of_cost(const limiter::rule& rule) const {
  if (rule.cost_from) {
    const auto& from = *rule.cost_from;
    auto why = from.header.empty() ? lack_of_query(from.query) : lack_of_header(from.header);
    if (why) return why;
  }
  if (!rule.count.empty() && !log_.status) return not_logged("the status", "$status");
  if (!rule.response_cost) return std::nullopt;
  using source = limiter::response_cost::source;
  const source actual = rule.response_cost->actual;
  if (actual == source::header || actual == source::json_pointer) {
    return unknown{std::string("its cost lies in the ") +
                       (actual == source::header ? "header " + rule.response_cost->name : "body") +
                       " of responses, which no log holds",
                   "see what it would do with `mode: shadow`"};
  }
  if (actual != source::response_bytes && !log_.bytes_in)
    return not_logged("the size of request bodies", "$content_length");
  if (actual != source::request_bytes && !log_.bytes_out)
    return not_logged("the size of responses", "$body_bytes_sent");
  return std::nullopt;
}

/// What decides which limit a key has, and whether it is enforced.
answer log_knowledge::lack_of_limit(const limiter::rule& rule) const {
  if (!rule.tiers.empty()) {
    if (auto why = lack_of_tier()) return why;
  }
  if (rule.overrides) {
    for (const limiter::selector& s : rule.overrides->selectors()) {
      if (auto why = lack_of_values(s)) return why;
    }
  }
  if (rule.enforce_percent == 100 || !users_are_hashes()) return std::nullopt;
  const auto by_user = [](const limiter::selector& s) { return s.text == "user"; };
  if (std::none_of(rule.key.begin(), rule.key.end(), by_user)) return std::nullopt;
  return unknown{"which keys `enforce_percent` takes depends on the users, which are logged as hashes",
                 "replay it with `enforce_percent: 100`"};
}

answer log_knowledge::lack_of(const limiter::rule& rule) const {
  if (auto why = lack_of(rule.match)) return why;
  if (auto why = lack_of_limit(rule)) return why;
  for (const limiter::selector& s : rule.key) {
    if (auto why = lack_of(s)) return why;
  }
  if (rule.missing == limiter::on_missing::fallback) {
    for (const limiter::selector& s : rule.fallback) {
      if (auto why = lack_of(s)) return why;
    }
  }
  return lack_of_cost(rule);
}

}  // namespace weir::replay
