// SPDX-License-Identifier: Apache-2.0
#include "config/convert/convert.hpp"

#include "config/convert/policy_draft.hpp"
#include "config/format/format.hpp"
#include "config/yaml_reader.hpp"

#include <array>
#include <yaml-cpp/exceptions.h>

namespace weir::config {
namespace {

struct converter {
  std::string_view name;
  policy_draft (*convert)(const std::string& text);
};

constexpr std::array converters{converter{"nginx", convert_nginx}, converter{"traefik", convert_traefik},
                                converter{"kong", convert_kong}, converter{"envoy-rls", convert_envoy_rls}};

problem unreadable(const std::string& name, int line, std::string why) {
  problem p;
  p.code = "E0101";
  p.file = name;
  p.line = line;
  p.column = line > 0 ? 1 : 0;
  p.message = std::move(why);
  return p;
}

/// A policy needs somewhere to forward to.
void complete(policy_draft& draft) {
  if (!draft.upstreams.empty()) return;
  auto& app = draft.upstreams.emplace_back("app", policy_item{}).second;
  app.set("url", written("http://127.0.0.1:3000"));
  app.notes.push_back({0, "the file names no upstream: put the address of your service here"});
}

}  // namespace

conversion convert(origin from, const std::string& text, const std::string& name) {
  const auto& chosen = converters.at(static_cast<std::size_t>(from));
  conversion result;
  result.source = text;
  try {
    if (text.size() > file_size_max) throw not_readable{0, "the file is larger than 1MiB"};
    auto draft = chosen.convert(text);
    complete(draft);
    const auto no_variables = [](std::string_view) { return std::optional<std::string>{}; };
    const auto loaded =
        load_text(policy_text(draft, chosen.name, name), "the policy made of " + name, ".", no_variables);
    auto formatted = format_policy(loaded);
    result.notes = all_notes(draft);
    result.policy = std::move(formatted.text);
    result.problems = std::move(formatted.problems);
    if (!result.policy) result.source = loaded.source_text;
  } catch (const not_readable& failure) {
    result.problems.push_back(unreadable(name, failure.line, failure.why));
  } catch (const YAML::Exception& failure) {
    result.problems.push_back(unreadable(name, failure.mark.line + 1, failure.msg));
  }
  return result;
}

}  // namespace weir::config
