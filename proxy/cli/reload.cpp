// SPDX-License-Identifier: Apache-2.0
// `weir reload`: has a running weir read its files again, and tells what came of it.
#include "proxy/cli/admin_client.hpp"
#include "proxy/cli/cli.hpp"

#include <boost/json.hpp>
#include <cstdio>
#include <fmt/format.h>

namespace weir::cli {
namespace {

namespace json = boost::json;

constexpr std::chrono::seconds longest_reload{70};  // a little more than the admin port waits itself
constexpr int status_refused = 422;

/// The text at the end of this way through objects; empty when it leads nowhere.
std::string text_at(const json::value& document, std::string_view pointer) {
  boost::system::error_code missing;
  const auto* found = document.find_pointer(pointer, missing);
  return found != nullptr && found->is_string() ? std::string{found->get_string()} : std::string{};
}

int report_success(const json::value& document) {
  const auto before = text_at(document, "/hash_before"), after = text_at(document, "/hash_after");
  const bool changed = text_at(document, "/result") == "ok";
  const auto line =
      changed ? fmt::format("reloaded: {} -> {}\n", before, after) : fmt::format("unchanged: {}\n", after);
  std::fputs(line.c_str(), stdout);
  return std::fflush(stdout) == 0 ? exit_ok : exit_failure;
}

}  // namespace

int reload_command(const admin_options& options) {
  const admin_answer answer = ask_admin({"reload", options.admin, "/api/reload", true, longest_reload});
  if (answer.exit_code != 0) return answer.exit_code;
  boost::system::error_code malformed;
  const json::value document = json::parse(answer.body, malformed);
  if (!malformed && answer.status == 200) return report_success(document);
  if (!malformed && answer.status == status_refused) {
    std::fputs(text_at(document, "/error/details/problems").c_str(), stderr);
    std::fputs("weir reload: refused, the running configuration stays\n", stderr);
    return exit_bad_config;
  }
  std::fputs(fmt::format("weir reload: {} answers {}: {}\n", options.admin, answer.status,
                         text_at(document, "/error/message"))
                 .c_str(),
             stderr);
  return exit_failure;
}

}  // namespace weir::cli
