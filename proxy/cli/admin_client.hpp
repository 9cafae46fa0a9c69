// SPDX-License-Identifier: Apache-2.0
// One question to the admin port of a running weir.
#pragma once

#include <chrono>
#include <string>

namespace weir::cli {

struct admin_question {
  std::string verb;   ///< of the command line, for messages
  std::string admin;  ///< `http://HOST:PORT` or `unix:PATH`
  std::string target;
  bool changes_something = false;        ///< asked by POST
  std::chrono::seconds longest_wait{5};  ///< from the connect to the end of the answer
};

struct admin_answer {
  int exit_code =
      0;  ///< not 0: there is no answer and stderr says why: 64 no such address, 69 nobody answers
  int status = 0;
  std::string body;  ///< up to 1 MiB
};

[[nodiscard]] admin_answer ask_admin(const admin_question& question);

}  // namespace weir::cli
