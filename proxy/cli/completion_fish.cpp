// SPDX-License-Identifier: Apache-2.0
#include "proxy/cli/completion.hpp"

#include <fmt/format.h>

namespace weir::cli {
namespace {

std::string quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

std::string names_of(const cli_option& option) {
  std::string text;
  for (const auto& name : option.names)
    text += name.starts_with("--") ? fmt::format(" -l {}", name.substr(2))
                                   : fmt::format(" -s {}", name.substr(1));
  return text;
}

std::string verb_names(const cli_tree& tree) {
  std::string all;
  for (const auto& verb : tree.verbs) all += (all.empty() ? "" : " ") + verb.name;
  return all;
}

/// What a value or an argument may be; empty for a flag.
std::string action_of(const cli_option& option, const cli_tree& tree) {
  if (option.value.empty()) return {};
  if (option.takes_file()) return " -r -F";
  if (option.value.starts_with("VERB")) return " -x -a " + quoted(verb_names(tree));
  if (option.choices.empty()) return " -x";
  return " -x -a " + quoted(fmt::format("{}", fmt::join(option.choices, " ")));
}

std::string lines_of(const std::vector<cli_option>& options, std::string_view when, const cli_tree& tree) {
  std::string text;
  for (const auto& option : options)
    text += fmt::format("complete -c weir -n {}{}{} -d {}\n", quoted(when), names_of(option),
                        action_of(option, tree), quoted(option.description));
  return text;
}

/// An argument with choices stands at its place; files may stand anywhere behind.
std::string argument_line(const cli_verb& verb, std::size_t index, const cli_tree& tree) {
  const auto& argument = verb.arguments[index];
  const auto seen = fmt::format("__fish_seen_subcommand_from {}", verb.name);
  if (argument.takes_file()) return fmt::format("complete -c weir -n {} -F\n", quoted(seen));
  const auto when = fmt::format("{}; and test (count (commandline -opc)) -eq {}", seen, index + 2);
  return fmt::format("complete -c weir -n {}{}\n", quoted(when), action_of(argument, tree));
}

}  // namespace

std::string fish_completion(const cli_tree& tree) {
  std::string text = "# Completion of weir for fish, made by `weir completion fish`.\ncomplete -c weir -f\n";
  text += lines_of(tree.options, "__fish_use_subcommand", tree);
  for (const auto& verb : tree.verbs) {
    text += fmt::format("complete -c weir -n __fish_use_subcommand -a {} -d {}\n", verb.name,
                        quoted(verb.description));
    text += lines_of(verb.options, "__fish_seen_subcommand_from " + verb.name, tree);
    for (std::size_t i = 0; i < verb.arguments.size(); ++i) text += argument_line(verb, i, tree);
  }
  return text;
}

}  // namespace weir::cli
