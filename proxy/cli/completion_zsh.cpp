// SPDX-License-Identifier: Apache-2.0
#include "proxy/cli/completion.hpp"

#include <fmt/format.h>

namespace weir::cli {
namespace {

/// Inside single quotes, and without what _arguments gives a meaning.
std::string quoted(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else if (c == '[' || c == ']' || c == ':' || c == '\\') {
      out += '\\';
      out += c;
    } else {
      out += c;
    }
  }
  return out;
}

/// ":FILE:_files" and the like; empty for a flag.
std::string action_of(const cli_option& option) {
  if (option.value.empty()) return {};
  std::string action = " ";
  if (option.takes_file()) action = "_files";
  if (option.value.starts_with("VERB")) action = "_weir_verbs";
  if (!option.choices.empty()) action = fmt::format("({})", fmt::join(option.choices, " "));
  return fmt::format(":{}:{}", quoted(option.value), action);
}

std::string specifications(const std::vector<cli_option>& options) {
  std::string text;
  for (const auto& option : options) {
    for (const auto& name : option.names) {
      const bool with_equals = !option.value.empty() && name.starts_with("--");
      text += fmt::format(" \\\n        '{}{}{}[{}]{}'", option.many ? "*" : "", name, with_equals ? "=" : "",
                          quoted(option.description), action_of(option));
    }
  }
  return text;
}

std::string verb_case(const cli_verb& verb) {
  auto text = fmt::format("      {})\n        _arguments -s{}", verb.name, specifications(verb.options));
  for (std::size_t i = 0; i < verb.arguments.size(); ++i) {
    const auto& argument = verb.arguments[i];
    const auto place = argument.many ? std::string{"*"} : std::to_string(i + 1);
    text += fmt::format(" \\\n        '{}{}'", place, action_of(argument));
  }
  return text + " ;;\n";
}

}  // namespace

std::string zsh_completion(const cli_tree& tree) {
  std::string text =
      "#compdef weir\n# Completion of weir for zsh, made by `weir completion zsh`.\n\n_weir_verbs() {\n  "
      "local -a "
      "verbs=(\n";
  for (const auto& verb : tree.verbs)
    text += fmt::format("    '{}:{}'\n", verb.name, quoted(verb.description));
  text += "  )\n  _describe verb verbs\n}\n\n_weir() {\n  local context state state_descr line\n";
  text += fmt::format("  _arguments -C{} \\\n        '1:verb:_weir_verbs' \\\n        '*::argument:->rest'\n",
                      specifications(tree.options));
  text += "  if [[ $state = rest ]]; then\n    case $words[1] in\n";
  for (const auto& verb : tree.verbs) text += verb_case(verb);
  return text +
         "    esac\n  fi\n}\n\n"
         "if [[ $funcstack[1] = _weir ]]; then _weir \"$@\"; else compdef _weir weir; fi\n";
}

}  // namespace weir::cli
