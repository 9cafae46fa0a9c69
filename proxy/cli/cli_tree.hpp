// SPDX-License-Identifier: Apache-2.0
// The verbs and options as plain values, for completions and the manual page.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}  // namespace CLI

namespace weir::cli {

struct cli_option {
  std::vector<std::string> names;  ///< "--format", "-f"; of an argument without a dash its one name
  std::string description;
  std::string value;                 ///< "FORMAT"; empty: a flag
  std::vector<std::string> choices;  ///< the words it takes; empty: anything
  std::string default_text;          ///< may be empty
  bool many = false;                 ///< may be given more than once

  [[nodiscard]] bool takes_file() const noexcept { return value == "FILE" || value == "DIRECTORY"; }
};

struct cli_verb {
  std::string name;
  std::string description;
  std::string example;                ///< a command line
  std::vector<cli_option> options;    ///< with dashes
  std::vector<cli_option> arguments;  ///< without, in order
};

struct cli_tree {
  std::string description;
  std::vector<cli_option> options;  ///< of weir itself
  std::vector<cli_verb> verbs;
};

[[nodiscard]] cli_tree tree_of(const CLI::App& app);
[[nodiscard]] cli_verb verb_of(const CLI::App& verb);

}  // namespace weir::cli
