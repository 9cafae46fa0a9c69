// SPDX-License-Identifier: Apache-2.0
// The command line: one function per verb, each returning the exit code.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace weir::cli {

inline constexpr int exit_ok = 0;
inline constexpr int exit_failure = 1;       ///< runtime failure; `health`: not ready
inline constexpr int exit_test_failed = 3;   ///< `test`: not everything came as expected
inline constexpr int exit_usage = 64;        ///< the command line is wrong
inline constexpr int exit_unreachable = 69;  ///< the admin port does not answer
inline constexpr int exit_bad_config = 78;   ///< the policy file has errors or cannot be read

/// Parses the command line and runs the verb. The only function `main` calls.
[[nodiscard]] int run_cli(int argc, char** argv);

/// `weir run`: serves until a signal ends it.
[[nodiscard]] int run_command(const std::string& config_path);

struct proxy_options {
  std::string from = ":8080";  ///< `[HOST]:PORT` or `unix:PATH`
  std::string to;              ///< `[HOST]:PORT`, a URL, or `unix:PATH`
  std::string limit;           ///< a rate per client; empty: none
  std::string store;           ///< as `store.url`; empty: memory
  std::string admin = "127.0.0.1:9901";
};
/// `weir proxy`: serves a policy made from its options. Exit 64 when an option has no meaning.
[[nodiscard]] int proxy_command(const proxy_options& options);

enum class check_format : std::uint8_t { text, json, sarif };

struct check_options {
  std::vector<std::string> files;  ///< `-` = standard input
  std::string against;             ///< the file that runs; empty: the files are checked by themselves
  bool color = false;
  bool strict = false;  ///< warnings refuse a file, too
  check_format format = check_format::text;
};
/// `weir check`: prints every problem, each rule in words and a summary line per file to stdout.
[[nodiscard]] int check_command(const check_options& options);

struct test_options {
  std::vector<std::string> files;  ///< `-` = standard input
  bool color = false;
};
/// `weir test`: runs the `tests:` of policy files. Exit 3: one failed; 78: a file has errors.
[[nodiscard]] int test_command(const test_options& options);

/// Which running weir is asked.
struct admin_options {
  std::string admin = "http://127.0.0.1:9901";  ///< `http://HOST:PORT` or `unix:PATH`
};
/// `weir health`: asks /readyz of a running weir; at most five seconds.
[[nodiscard]] int health_command(const admin_options& options);

/// `weir reload`: has it read its files again; prints why not when it refuses them (exit 78).
[[nodiscard]] int reload_command(const admin_options& options);

struct replay_options {
  std::string policy;
  std::string log;         ///< `-` = standard input
  std::string against;     ///< an older policy; empty: none
  std::string log_format;  ///< a name or a format string; empty: by the first lines
  bool suggest = false;    ///< measure every key, and print limits
  bool each = false;       ///< print what becomes of each request instead of the report
  bool json = false;
};
/// `weir replay`: the requests of an access log through a policy, in virtual time. Exit 1: the log cannot be
/// read, or nothing in it; 78: a policy has errors.
[[nodiscard]] int replay_command(const replay_options& options);

/// `weir help CODE`: what a code of `weir check` means, and how to write it right. Exit 64: no such code.
[[nodiscard]] int help_command(const std::string& code);

enum class fmt_mode : std::uint8_t { print, check, write };

struct fmt_options {
  std::vector<std::string> files;  ///< `-` = standard input
  bool check = false;              ///< names the files that would change, exit 1
  bool write = false;              ///< replaces the files that change, and names them
};
/// `weir fmt`: the canonical layout. Exit 78 for files with errors, 1 when a file would change or cannot be
/// written.
[[nodiscard]] int fmt_command(const fmt_options& options);

struct convert_options {
  std::string from;  ///< nginx, traefik, kong or envoy-rls
  std::string file;  ///< `-` = standard input
};
/// `weir convert`: prints a policy, and to stderr what of the file it does differently or not. Exit 78 for a
/// file that cannot be read as the origin's.
[[nodiscard]] int convert_command(const convert_options& options);

/// `weir schema`: the JSON Schema of policy files, for editors.
[[nodiscard]] int schema_command();

/// `weir version`
[[nodiscard]] int version_command(bool json);

struct echo_options {
  std::string listen = "127.0.0.1:3000";  ///< `HOST:PORT` or `unix:PATH`
  std::string delay = "0ms";              ///< before every answer
  int status = 200;                       ///< of every answer, 200 ... 599
  std::string size;                       ///< body size; empty: JSON of what was received
};
/// `weir echo`: an upstream for demos and tests; ends with SIGTERM or SIGINT.
[[nodiscard]] int echo_command(const echo_options& options);

}  // namespace weir::cli
