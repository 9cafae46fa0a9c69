// SPDX-License-Identifier: Apache-2.0
#include "proxy/cli/completion.hpp"

#include <fmt/format.h>

namespace weir::cli {
namespace {

/// The function without its tables. `words` are what fits here; `files` is set where a file does.
constexpr std::string_view body = R"(_weir() {
  local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
  local verb='' options='' words='' files='' valued='' argument=0 i
  if [ "$current" = '=' ]; then
    current=''
  elif [ "$before" = '=' ]; then
    before=${COMP_WORDS[COMP_CWORD-2]}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      -*|=) ;;
      *) verb=${COMP_WORDS[i]}; break ;;
    esac
  done
  _weir_verb "$verb"
  for ((i++; i < COMP_CWORD; i++)); do
    case " $valued " in
      *" ${COMP_WORDS[i]} "*) ((i++)) ;;
      *) case ${COMP_WORDS[i]} in -?*) ;; *) ((argument++)) ;; esac ;;
    esac
  done
  _weir_value "$verb $before" || case $current in
    -?*) words=$options files='' ;;
    *) _weir_argument "$verb" "$argument" ;;
  esac
  if [ -n "$files" ]; then
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
  else
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  fi
}
complete -F _weir weir
)";

std::string joined_names(const std::vector<cli_option>& options, bool only_valued) {
  std::string all;
  for (const auto& option : options) {
    if (only_valued && option.value.empty()) continue;
    for (const auto& name : option.names) all += (all.empty() ? "" : " ") + name;
  }
  return all;
}

std::string what_fits(const cli_option& option, const std::string& verbs) {
  if (option.takes_file()) return "files=yes";
  if (option.value.starts_with("VERB")) return fmt::format("words='{}'", verbs);
  return fmt::format("words='{}'", fmt::join(option.choices, " "));
}

std::string verb_names(const cli_tree& tree) {
  std::string all;
  for (const auto& verb : tree.verbs) all += (all.empty() ? "" : " ") + verb.name;
  return all;
}

/// Options of each verb, and those of them that take a value.
std::string verb_table(const cli_tree& tree) {
  auto text = fmt::format("_weir_verb() {{\n  case $1 in\n    '') options='{}' ;;\n",
                          joined_names(tree.options, false));
  for (const auto& verb : tree.verbs) {
    text += fmt::format("    {}) options='{}' valued='{}' ;;\n", verb.name, joined_names(verb.options, false),
                        joined_names(verb.options, true));
  }
  return text + "  esac\n}\n";
}

/// What stands behind an option that takes a value; fails for anything else.
std::string value_table(const cli_tree& tree) {
  std::string text = "_weir_value() {\n  case $1 in\n";
  for (const auto& verb : tree.verbs) {
    for (const auto& option : verb.options) {
      if (option.value.empty()) continue;
      for (const auto& name : option.names)
        text += fmt::format("    '{} {}') {} ;;\n", verb.name, name, what_fits(option, verb_names(tree)));
    }
  }
  return text + "    *) return 1 ;;\n  esac\n}\n";
}

/// What the argument at a place may be; the last one of a verb may be repeated.
std::string argument_table(const cli_tree& tree) {
  auto text =
      fmt::format("_weir_argument() {{\n  case \"$1 $2\" in\n    ' '*) words='{}' ;;\n", verb_names(tree));
  for (const auto& verb : tree.verbs) {
    for (std::size_t i = 0; i < verb.arguments.size(); ++i) {
      const auto& argument = verb.arguments[i];
      const auto place = argument.many ? std::string{"*"} : std::to_string(i);
      text += fmt::format("    '{} '{}) {} ;;\n", verb.name, place, what_fits(argument, verb_names(tree)));
    }
  }
  return text + "  esac\n}\n";
}

}  // namespace

std::string bash_completion(const cli_tree& tree) {
  return "# Completion of weir for bash, made by `weir completion bash`.\n" + verb_table(tree) +
         value_table(tree) + argument_table(tree) + std::string{body};
}

}  // namespace weir::cli
