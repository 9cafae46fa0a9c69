// SPDX-License-Identifier: Apache-2.0
// Envoy's rate limit service: descriptors of one domain.
#include "config/convert/foreign_yaml.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <map>

namespace weir::config {
namespace {

/// The entries of a descriptor from the outside in.
struct descriptor_path {
  std::vector<std::string> key;  ///< selectors
  std::map<std::string, std::map<std::string, std::vector<std::string>>>
      match;  ///< "header" -> name -> values
  bool can_be_absent = false;
  std::string name;
  notes about;
  bool usable = true;
};

class rls_converter {
 public:
  policy_draft convert(const std::string& text) {
    auto root = read_foreign(text);
    const auto domain = root.text("domain");
    if (domain.empty())
      throw not_readable{1, "the file has no `domain`: not a configuration of the rate limit service"};
    draft_.note(
        root.line(),
        fmt::format("domain `{}`: what Envoy sends as descriptors is not in this file; a key is taken "
                    "as the request's property of that name",
                    domain));
    read_level(root, {});
    root.finish(draft_.notes);
    return std::move(draft_);
  }

 private:
  void read_level(foreign_map& level, const descriptor_path& outer) {
    auto all = level.maps("descriptors");
    std::map<std::string, std::vector<std::string>>
        values;  // of a key that has descriptors for some of its values
    for (auto& d : all) {
      if (!d.text("value").empty()) values[d.text("key")].push_back(d.text("value"));
    }
    for (auto& d : all) {
      const auto own = d.text("value").empty() ? values[d.text("key")] : std::vector<std::string>{};
      read_descriptor(d, outer, own);
    }
  }

  /// `apart`: values of the key that other descriptors are for; only the most specific one counts a request.
  void read_descriptor(foreign_map& d, descriptor_path path, const std::vector<std::string>& apart) {
    add_entry(path, d, apart);
    auto limit = d.map("rate_limit");
    const bool shadow = d.flag("shadow_mode", false);
    const auto rules_before = draft_.rules.size();
    if (limit.exists()) write_rule(limit, path, shadow);
    const bool nested = d.take("descriptors").IsDefined();
    if (nested && draft_.rules.size() > rules_before)
      draft_.rules.back().notes.push_back({d.line(),
                                           "in Envoy requests that a nested descriptor fits are not counted "
                                           "here; in weir every rule that matches counts"});
    if (nested) read_level(d, path);
    d.finish(draft_.notes);
  }

  void add_entry(descriptor_path& path, foreign_map& d, const std::vector<std::string>& apart) {
    const auto key = d.text("key");
    const auto value = d.text("value");
    const auto line = d.line_of(value.empty() ? "key" : "value");
    path.name += (path.name.empty() ? "" : "-") + (value.empty() ? key : key + "-" + value);
    if (value.ends_with('*')) {
      path.usable = false;
      path.about.push_back(
          {line, fmt::format("`{}: {}` is left out: weir has no prefixes of values", key, value)});
    } else if (key == "generic_key") {
      path.about.push_back(
          {line, fmt::format("`generic_key: {}`: which requests get it, Envoy's routes say; this rule "
                             "is for all that the rest of it fits: add a `match`",
                             value)});
    } else {
      add_property(path, line, key, value, apart);
    }
  }

  /// How weir names what Envoy sends under a usual key: `match` and, for values that are counted apart, the
  /// selector.
  struct property {
    std::string match;  ///< empty: a header
    std::string selector;
  };
  static property property_of(const std::string& key) {
    const std::map<std::string, property> known{{"remote_address", {"client_ip", "client_ip"}},
                                                {"masked_remote_address", {"client_ip", "client_ip"}},
                                                {"path", {"path", ""}},
                                                {"PATH", {"path", ""}},
                                                {":path", {"path", ""}},
                                                {"method", {"methods", "method"}},
                                                {":method", {"methods", "method"}},
                                                {"host", {"host", "host"}},
                                                {":authority", {"host", "host"}},
                                                {"destination_cluster", {"", "upstream"}},
                                                {"user", {"user", "user"}},
                                                {"user_id", {"user", "user"}}};
    const auto found = known.find(key);
    if (found != known.end()) return found->second;
    auto header = key;
    std::replace(header.begin(), header.end(), '_', '-');
    return {"", "header:" + header};
  }

  void add_property(descriptor_path& path, int line, const std::string& key, const std::string& value,
                    const std::vector<std::string>& apart) {
    const auto known = property_of(key);
    const auto header = known.selector.starts_with("header:") ? known.selector.substr(7) : std::string{};
    if (!header.empty())
      path.about.push_back({line, fmt::format("`{}` is taken from the request header `{}`", key, header)});
    if (known.match == "user") need_user(line);
    const auto where = header.empty() ? known.match : std::string{"header"};
    if (value.empty()) {
      if (known.selector.empty()) {
        path.about.push_back(
            {line, fmt::format("`{}` without a value: each route is counted by itself, not each path", key)});
        path.key.emplace_back("route");
      } else {
        path.key.push_back(known.selector);
        path.can_be_absent = path.can_be_absent || !header.empty() || known.match == "user";
      }
      if (!apart.empty() && !where.empty()) path.match["not " + where][header] = apart;
    } else if (where.empty()) {
      path.usable = false;
      path.about.push_back(
          {line, fmt::format("`{}: {}` is left out: `match` cannot ask for it", key, value)});
    } else {
      path.match[where][header] = {value};
    }
  }

  void need_user(int line) {
    if (draft_.has_section("identity")) return;
    draft_.section("identity")
        .set("user", "[{header: X-User-ID}]")
        .notes.push_back({line, "say here where the user is found"});
  }

  static std::string match_text(const descriptor_path& path) {
    std::string text, inverted;
    for (const auto& [where, names] : path.match) {
      const bool negative = where.starts_with("not ");
      const auto key = negative ? where.substr(4) : where;
      auto& out = negative ? inverted : text;
      std::string value;
      for (const auto& [name, values] : names) {
        const auto list = values.size() == 1 ? written(values.front()) : written_list(values);
        value +=
            name.empty() ? list : fmt::format("{}{}: {}", value.empty() ? "" : ", ", written(name), list);
      }
      out +=
          fmt::format("{}{}: {}", out.empty() ? "" : ", ", key, key == "header" ? "{" + value + "}" : value);
    }
    if (!inverted.empty()) text += fmt::format("{}not: {{{}}}", text.empty() ? "" : ", ", inverted);
    return text;
  }

  void left_out(int line, const descriptor_path& path, std::string_view why) {
    draft_.notes.insert(draft_.notes.end(), path.about.begin(), path.about.end());
    draft_.note(line, fmt::format("the limit of `{}` is left out: {}", path.name, why));
  }

  void write_rule(foreign_map& limit, const descriptor_path& path, bool shadow) {
    const auto unit = limit.text("unit");
    const auto number = limit.integer("requests_per_unit");
    const bool unlimited = limit.flag("unlimited", false);
    policy_item rule;
    rule.notes = path.about;
    const auto name = draft_.free_name("rules", limit.text("name", path.name));
    for (auto& replaced : limit.maps("replaces")) {
      rule.notes.push_back(
          {replaced.line(), fmt::format("`replaces: {0}` is not converted: in weir both count; put a `not` "
                                        "into the match of `{0}`",
                                        replaced.text("name"))});
    }
    limit.finish(rule.notes);
    if (!path.usable) return left_out(limit.line(), path, "see above");
    if (unlimited)
      return draft_.note(
          limit.line(),
          fmt::format("`{}` is unlimited: it needs no rule, the others leave it out", path.name));
    const auto period = period_of(unit);
    if (period.empty() || !number)
      return left_out(limit.line(), path, fmt::format("its unit `{}` or number is not readable", unit));
    if (*number == 0) return write_block(limit.line(), path);
    rule.set("name", name);
    if (const auto match = match_text(path); !match.empty()) rule.set("match", "{" + match + "}");
    rule.set("key", path.key.empty() ? written_list({"constant:" + name}) : written_list(path.key));
    if (path.can_be_absent) rule.set("missing", "skip");
    rule.set("limit", fmt::format("{}/{}", *number, period)).set("algorithm", "fixed_window");
    if (shadow) rule.set("mode", "shadow");
    draft_.rules.push_back(std::move(rule));
  }

  /// A limit of 0 requests admits none, and there is nothing to count.
  void write_block(int line, const descriptor_path& path) {
    constexpr std::size_t longest_reason = 64;
    const auto match = match_text(path);
    if (!path.key.empty() || match.empty())
      return left_out(line, path, "0 requests are what `block` is for, and it needs values to match");
    policy_item item;
    item.notes = path.about;
    item.set("match", "{" + match + "}").set("status", "429");
    item.set("reason", written(path.name.substr(0, longest_reason)));
    draft_.block.push_back(std::move(item));
  }

  /// Windows of the service are aligned to the epoch; its months have 30 days.
  static std::string period_of(std::string unit) {
    std::transform(unit.begin(), unit.end(), unit.begin(),
                   [](char c) { return static_cast<char>(c | 0x20); });
    const std::map<std::string, std::string> periods{
        {"second", "second"}, {"minute", "minute"}, {"hour", "hour"}, {"day", "day"},
        {"week", "7d"},       {"month", "30d"},     {"year", "365d"}};
    const auto found = periods.find(unit);
    return found == periods.end() ? std::string{} : found->second;
  }

  policy_draft draft_;
};

}  // namespace

policy_draft convert_envoy_rls(const std::string& text) {
  return rls_converter{}.convert(text);
}

}  // namespace weir::config
