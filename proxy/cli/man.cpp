// SPDX-License-Identifier: Apache-2.0
#include "proxy/cli/cli.hpp"
#include "proxy/cli/completion.hpp"

#include <algorithm>
#include <cctype>
#include <fmt/format.h>

namespace weir::cli {
namespace {

/// Text for roff: no hyphenation of options, no accidental requests.
std::string roff(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
  }
  return out.starts_with('.') || out.starts_with('\'') ? "\\&" + out : out;
}

std::string synopsis(const cli_verb& verb) {
  auto text = fmt::format("\\fBweir {}\\fR", roff(verb.name));
  if (verb.options.size() > 1) text += " [\\fIoptions\\fR]";  // beyond --help
  for (const auto& argument : verb.arguments)
    text += fmt::format(" \\fI{}\\fR{}", roff(argument.value), argument.many ? " ..." : "");
  return text;
}

/// "--format FORMAT" in bold and italics.
std::string heading(const cli_option& option) {
  std::string text;
  for (const auto& name : option.names)
    text += fmt::format("{}\\fB{}\\fR", text.empty() ? "" : ", ", roff(name));
  if (!option.value.empty()) text += fmt::format(" \\fI{}\\fR", roff(option.value));
  return text;
}

std::string item(const std::string& title, std::string_view text) {
  return fmt::format(".TP\n{}\n{}\n", title, roff(text));
}

std::string option_items(const std::vector<cli_option>& options) {
  std::string text;
  for (const auto& option : options) {
    auto about = option.description;
    if (!option.default_text.empty()) about += fmt::format(" (default {})", option.default_text);
    text += item(heading(option), about);
  }
  return text;
}

std::string argument_items(const std::vector<cli_option>& arguments) {
  std::string text;
  for (const auto& argument : arguments)
    text += item(fmt::format("\\fI{}\\fR", roff(argument.value)), argument.description);
  return text;
}

std::string verb_section(const cli_verb& verb) {
  return fmt::format(".SS \"weir {}\"\n{}\n.PP\n{}.\n{}{}", roff(verb.name), synopsis(verb),
                     roff(verb.description), argument_items(verb.arguments), option_items(verb.options)) +
         fmt::format(".PP\nExample:\n.PP\n.RS\n.EX\n{}\n.EE\n.RE\n", roff(verb.example));
}

std::string exit_status() {
  return ".SH EXIT STATUS\n" + item(fmt::format("\\fB{}\\fR", exit_ok), "done") +
         item(fmt::format("\\fB{}\\fR", exit_failure), "it failed while it ran; `health`: not ready") +
         item(fmt::format("\\fB{}\\fR", exit_usage), "the command line is wrong") +
         item(fmt::format("\\fB{}\\fR", exit_unreachable),
              "the admin port, upstream or store does not answer") +
         item(fmt::format("\\fB{}\\fR", exit_bad_config), "a policy file has errors or cannot be read");
}

constexpr std::string_view closing = R"(.SH FILES
.TP
\fIweir.yaml\fR
The policy file: listeners, upstreams, routes and rules.
\fBweir check\fR explains one,
\fBweir schema\fR describes it to editors.
.SH ENVIRONMENT
.TP
\fBNO_COLOR\fR
when set and not empty, nothing is colored
.PP
Values of the policy file may name further variables as \fB${NAME}\fR.
.SH SIGNALS
.TP
\fBSIGHUP\fR
read the policy file again; a bad one is refused and the old one stays
.TP
\fBSIGTERM\fR
stop: no longer ready, then no new connections, then the end of all requests
.TP
\fBSIGUSR1\fR
open the log files again
)";

}  // namespace

std::string man_page(const cli_tree& tree, std::string_view version) {
  auto text = fmt::format(
      ".\\\" Made by `weir man` from the tree of verbs and options.\n"
      ".TH WEIR 1 \"{}\" \"weir {}\" \"User Commands\"\n.SH NAME\nweir \\- {}\n.SH SYNOPSIS\n",
      WEIR_DATE, roff(version), roff(tree.description.substr(tree.description.find(',') + 2)));
  for (const auto& verb : tree.verbs) text += synopsis(verb) + "\n.br\n";
  text.resize(text.size() - 4);  // no break behind the last
  text += ".SH DESCRIPTION\n" + roff(tree.description) +
          ".\nIt decides every request by the rules of one YAML file\nand forwards what is allowed.\n"
          ".SH OPTIONS\n" +
          option_items(tree.options) + ".SH VERBS\n";
  for (const auto& verb : tree.verbs) text += verb_section(verb);
  return text + exit_status() + std::string{closing};
}

}  // namespace weir::cli
