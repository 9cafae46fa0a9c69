// SPDX-License-Identifier: Apache-2.0
#include "proxy/cli/cli_tree.hpp"

#include <CLI/CLI.hpp>

namespace weir::cli {
namespace {

/// "{text,json,sarif}" of a type such as "FORMAT:{text,json,sarif}".
std::vector<std::string> choices_in(const std::string& type) {
  const auto open = type.find('{');
  const auto close = type.find('}');
  if (open == std::string::npos || close == std::string::npos) return {};
  return CLI::detail::split(type.substr(open + 1, close - open - 1), ',');
}

std::vector<std::string> names_of(const CLI::Option& option) {
  std::vector<std::string> names;
  for (const auto& name : option.get_lnames()) names.push_back("--" + name);
  for (const auto& name : option.get_snames()) names.push_back("-" + name);
  if (names.empty()) names.push_back(option.get_name());
  return names;
}

cli_option option_of(const CLI::Option& option) {
  const auto type = option.get_type_name();
  const bool flag = option.get_items_expected_max() == 0;
  return {names_of(option), option.get_description(), flag ? "" : type.substr(0, type.find(":{")),
          choices_in(type), option.get_default_str(), option.get_items_expected_max() > 1};
}

void add_options(const CLI::App& app, std::vector<cli_option>& options, std::vector<cli_option>* arguments) {
  for (const auto* option : app.get_options()) {
    if (!option->get_positional()) {
      options.push_back(option_of(*option));
    } else if (arguments != nullptr) {
      arguments->push_back(option_of(*option));
    }
  }
}

}  // namespace

cli_verb verb_of(const CLI::App& app) {
  cli_verb verb{app.get_name(), app.get_description(), {}, {}, {}};
  const auto& footer = app.get_footer();
  verb.example = footer.substr(std::min(footer.size(), footer.find("\n  ") + 3));
  add_options(app, verb.options, &verb.arguments);
  return verb;
}

cli_tree tree_of(const CLI::App& app) {
  cli_tree tree{app.get_description(), {}, {}};
  add_options(app, tree.options, nullptr);
  for (const auto* verb : app.get_subcommands([](const CLI::App*) { return true; }))
    tree.verbs.push_back(verb_of(*verb));
  return tree;
}

}  // namespace weir::cli
