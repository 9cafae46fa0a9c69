// SPDX-License-Identifier: Apache-2.0
// The tree of verbs and options.
#include "config/did_you_mean.hpp"
#include "proxy/cli/cli.hpp"
#include "proxy/cli/completion.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fmt/format.h>
#include <unistd.h>

namespace weir::cli {
namespace {

constexpr const char* default_config = "./weir.yaml";

struct options {
  std::string config;
  check_options check;
  test_options test;
  std::string color = "auto";
  std::string format = "text";
  std::string help_topic;
  std::string shell;
  fmt_options fmt;
  convert_options convert;
  proxy_options proxy;
  replay_options replay;
  admin_options admin;
  bool json = false;
  echo_options echo;
};

CLI::App* add_verb(CLI::App& app, const std::string& name, const std::string& text,
                   const std::string& example) {
  auto* verb = app.add_subcommand(name, text);
  verb->footer("Example:\n  " + example);
  return verb;
}

void add_run(CLI::App& app, options& o) {
  auto* verb = add_verb(app, "run", "serve until SIGTERM; changed files are read again, SIGHUP asks for it",
                        "weir run -c weir.yaml");
  verb->add_option("-c,--config", o.config, "policy file (default ./weir.yaml)")->type_name("FILE");
}

void add_proxy(CLI::App& app, options& o) {
  auto* verb = add_verb(app, "proxy", "serve without a file: one upstream, one limit for each client",
                        "weir proxy --from :8080 --to :3000 --limit 100/minute");
  verb->add_option("--from", o.proxy.from, "where clients connect")
      ->type_name("[HOST]:PORT")
      ->capture_default_str();
  verb->add_option("--to", o.proxy.to, "the service, also a URL or unix:PATH")
      ->required()
      ->type_name("[HOST]:PORT");
  verb->add_option("--limit", o.proxy.limit, "for each client address, such as 100/minute; without: none")
      ->type_name("RATE");
  verb->add_option("--store", o.proxy.store, "such as redis://127.0.0.1; without: counted in this process")
      ->type_name("URL");
  verb->add_option("--admin", o.proxy.admin, "probes and metrics")
      ->type_name("HOST:PORT")
      ->capture_default_str();
}

void add_color(CLI::App& verb, options& o) {
  verb.add_option("--color", o.color, "auto, always or never; NO_COLOR is honoured")
      ->check(CLI::IsMember({"auto", "always", "never"}))
      ->type_name("WHEN");
}

void add_check(CLI::App& app, options& o) {
  auto* verb = add_verb(app, "check", "show every problem of policy files, and each rule in words",
                        "weir check weir.yaml");
  verb->add_option("files", o.check.files, "policy files, - for standard input")
      ->required()
      ->type_name("FILE");
  verb->add_option("--against", o.check.against,
                   "the file that runs: tell what a reload would keep, change, reset or refuse")
      ->type_name("OLD");
  verb->add_flag("--strict", o.check.strict, "warnings count as errors");
  verb->add_option("--format", o.format, "text, json or sarif")
      ->check(CLI::IsMember({"text", "json", "sarif"}))
      ->type_name("FORMAT");
  add_color(*verb, o);
}

void add_test(CLI::App& app, options& o) {
  auto* verb =
      add_verb(app, "test", "run the `tests:` of policy files; exit 3 when one fails", "weir test weir.yaml");
  verb->add_option("files", o.test.files, "policy files, - for standard input")
      ->required()
      ->type_name("FILE");
  add_color(*verb, o);
}

void add_replay(CLI::App& app, options& o) {
  auto* verb = add_verb(app, "replay", "show what a policy would have done to the requests of an access log",
                        "weir replay weir.yaml access.log --against running.yaml");
  verb->add_option("policy", o.replay.policy, "policy file")->required()->type_name("POLICY");
  verb->add_option("log", o.replay.log, "access log, - for standard input")->required()->type_name("LOG");
  verb->add_option("--against", o.replay.against, "an older policy: show which requests it judges otherwise")
      ->type_name("FILE");
  verb->add_flag("--suggest", o.replay.suggest, "print limits that 99 % of the keys never meet");
  verb->add_option("--log-format", o.replay.log_format,
                   "weir, ecs, envoy, caddy, clf, combined, or a format string as of nginx; without: by the "
                   "first lines")
      ->type_name("FORMAT");
  verb->add_flag("--each", o.replay.each,
                 "print what becomes of each request, a JSON object a line, instead");
  verb->add_option("--format", o.format, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->type_name("FORMAT");
}

void add_help(CLI::App& app, options& o) {
  auto* verb =
      add_verb(app, "help", "explain a verb, or a code that `weir check` printed", "weir help E0312");
  verb->add_option("topic", o.help_topic, "a verb or a code")->type_name("VERB|CODE");
}

void add_admin(CLI::App& verb, options& o) {
  verb.add_option("--admin", o.admin.admin, "its admin port")->type_name("URL")->capture_default_str();
}

void add_health(CLI::App& app, options& o) {
  auto* verb =
      add_verb(app, "health", "exit 0 when a running weir is ready, 1 when not, 69 when it does not answer",
               "weir health --admin http://127.0.0.1:9901");
  add_admin(*verb, o);
}

void add_reload(CLI::App& app, options& o) {
  auto* verb = add_verb(app, "reload",
                        "have a running weir read its files again; exit 78 when it refuses them, 69 when it "
                        "does not answer",
                        "weir reload --admin http://127.0.0.1:9901");
  add_admin(*verb, o);
}

void add_fmt(CLI::App& app, options& o) {
  auto* verb = add_verb(app, "fmt", "lay policy files out canonically; comments are kept",
                        "weir fmt --write weir.yaml");
  verb->add_option("files", o.fmt.files, "policy files, - for standard input")->required()->type_name("FILE");
  verb->add_flag("--check", o.fmt.check, "only name the files that would change, exit 1 when there are any");
  verb->add_flag("--write", o.fmt.write, "replace the files instead of printing the result");
}

void add_convert(CLI::App& app, options& o) {
  auto* verb =
      add_verb(app, "convert", "make a policy of another limiter's configuration, and list what differs",
               "weir convert nginx nginx.conf > weir.yaml");
  verb->add_option("from", o.convert.from, "whose: nginx, traefik, kong or envoy-rls")
      ->required()
      ->check(CLI::IsMember({"nginx", "traefik", "kong", "envoy-rls"}))
      ->type_name("FROM");
  verb->add_option("file", o.convert.file, "its configuration, - for standard input")
      ->required()
      ->type_name("FILE");
}

void add_schema(CLI::App& app) {
  add_verb(app, "schema", "print the JSON Schema of policy files, for editors",
           "weir schema > weir.v1.schema.json");
}

void add_completion(CLI::App& app, options& o) {
  auto* verb = add_verb(app, "completion", "print the completion script of a shell",
                        "weir completion bash > /etc/bash_completion.d/weir");
  verb->add_option("shell", o.shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}))
      ->type_name("SHELL");
}

void add_man(CLI::App& app) {
  add_verb(app, "man", "print the manual page", "weir man > weir.1");
}

void add_version(CLI::App& app, options& o) {
  auto* verb = add_verb(app, "version", "version and build", "weir version --json");
  verb->add_flag("--json", o.json, "as one JSON object");
}

void add_echo(CLI::App& app, options& o) {
  auto* verb = add_verb(app, "echo", "a small upstream that answers with what it received",
                        "weir echo --listen 127.0.0.1:3000 --delay 5ms");
  verb->add_option("--listen", o.echo.listen, "HOST:PORT or unix:PATH")
      ->type_name("ADDRESS")
      ->capture_default_str();
  verb->add_option("--delay", o.echo.delay, "wait before every answer")
      ->type_name("DURATION")
      ->capture_default_str();
  verb->add_option("--status", o.echo.status, "of every answer")->type_name("CODE")->capture_default_str();
  verb->add_option("--size", o.echo.size, "answer with so many bytes instead")->type_name("SIZE");
}

std::vector<std::string> verb_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const auto* verb : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(verb->get_name());
  return names;
}

std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const auto* option : app.get_options()) {
    for (const auto& name : option->get_lnames()) names.push_back("--" + name);
    for (const auto& name : option->get_snames()) names.push_back("-" + name);
  }
  return names;
}

std::string suggestion(const std::string& word, const std::vector<std::string>& known) {
  const std::vector<std::string_view> candidates{known.begin(), known.end()};
  return config::did_you_mean_hint(word, candidates);
}

int usage_error(const std::string& message, const std::string& hint, const std::string& help) {
  std::fputs(
      fmt::format("error: {}{}{}\n  = help: {}\n", message, hint.empty() ? "" : "; ", hint, help).c_str(),
      stderr);
  return exit_usage;
}

/// For a word that is none of the choices of its option or argument.
std::string value_suggestion(const CLI::App& scope, int argc, char** argv) {
  const auto verb = verb_of(scope);
  std::vector<std::string> choices;
  for (const auto* options : {&verb.options, &verb.arguments}) {
    for (const auto& option : *options)
      choices.insert(choices.end(), option.choices.begin(), option.choices.end());
  }
  for (int i = 2; i < argc; ++i) {
    const std::string argument = argv[i];
    const auto word = argument.substr(argument.starts_with("--") ? argument.find('=') + 1 : 0);
    if (std::find(choices.begin(), choices.end(), word) != choices.end()) continue;
    if (auto hint = suggestion(word, choices); !hint.empty()) return hint;
  }
  return {};
}

/// CLI11 says only that an argument was not expected; this names it and what was probably meant.
int explain(const CLI::App& app, const CLI::ParseError& error, int argc, char** argv) {
  if (argc < 2) {
    std::fputs(app.help().c_str(), stderr);
    return exit_usage;
  }
  const std::string first = argv[1];
  const auto* verb = app.get_subcommands().empty() ? nullptr : app.get_subcommands().front();
  const auto verbs = verb_names(app);
  if (verb == nullptr && !first.empty() && first.front() != '-') {
    return usage_error(fmt::format("unknown verb `{}`", first), suggestion(first, verbs),
                       fmt::format("verbs: {}", fmt::join(verbs, " ")));
  }
  const auto& scope = verb != nullptr ? *verb : app;
  const auto help =
      verb != nullptr ? fmt::format("weir {} --help", verb->get_name()) : std::string{"weir --help"};
  const auto known = option_names(scope);
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const auto name = argument.substr(0, argument.find('='));
    if (argument.size() < 2 || argument.front() != '-' ||
        std::find(known.begin(), known.end(), name) != known.end())
      continue;
    return usage_error(fmt::format("unknown option `{}`", name), suggestion(name, known), help);
  }
  return usage_error(error.what(), value_suggestion(scope, argc, argv), help);
}

/// The file of `weir run`; empty when there is none to run.
std::string config_to_run(const std::string& given) {
  if (!given.empty()) return given;
  std::error_code failed;
  if (std::filesystem::exists(default_config, failed)) return default_config;
  std::fputs(
      "error: there is no ./weir.yaml and no file was named\n"
      "  = help: weir run -c FILE; the smallest file is\n"
      "version: 1\n"
      "upstreams:\n"
      "  web: {url: \"http://127.0.0.1:3000\"}\n",
      stderr);
  return {};
}

bool wants_color(const std::string& when) {
  if (when != "auto") return when == "always";
  const char* no_color = std::getenv("NO_COLOR");
  return (no_color == nullptr || *no_color == '\0') && ::isatty(STDOUT_FILENO) == 1;
}

int help_about(CLI::App& app, const std::string& topic) {
  const auto verbs = verb_names(app);
  const bool is_verb = std::find(verbs.begin(), verbs.end(), topic) != verbs.end();
  if (!topic.empty() && !is_verb) return help_command(topic);
  std::fputs((is_verb ? app.get_subcommand(topic)->help(app.get_name()) : app.help()).c_str(), stdout);
  return std::fflush(stdout) == 0 ? exit_ok : exit_failure;
}

int print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  return std::fflush(stdout) == 0 ? exit_ok : exit_failure;
}

std::string completion_of(const CLI::App& app, const std::string& shell) {
  const auto tree = tree_of(app);
  if (shell == "zsh") return zsh_completion(tree);
  return shell == "fish" ? fish_completion(tree) : bash_completion(tree);
}

int dispatch(CLI::App& app, options& o) {
  if (app.got_subcommand("check")) {
    o.check.color = wants_color(o.color);
    o.check.format = o.format == "json"    ? check_format::json
                     : o.format == "sarif" ? check_format::sarif
                                           : check_format::text;
    return check_command(o.check);
  }
  if (app.got_subcommand("test")) {
    o.test.color = wants_color(o.color);
    return test_command(o.test);
  }
  if (app.got_subcommand("replay")) {
    o.replay.json = o.format == "json";
    return replay_command(o.replay);
  }
  if (app.got_subcommand("proxy")) return proxy_command(o.proxy);
  if (app.got_subcommand("help")) return help_about(app, o.help_topic);
  if (app.got_subcommand("convert")) return convert_command(o.convert);
  if (app.got_subcommand("fmt")) return fmt_command(o.fmt);
  if (app.got_subcommand("schema")) return schema_command();
  if (app.got_subcommand("completion")) return print(completion_of(app, o.shell));
  if (app.got_subcommand("man")) return print(man_page(tree_of(app), WEIR_VERSION));
  if (app.got_subcommand("health")) return health_command(o.admin);
  if (app.got_subcommand("reload")) return reload_command(o.admin);
  if (app.got_subcommand("version")) return version_command(o.json);
  if (app.got_subcommand("echo")) return echo_command(o.echo);
  const auto file = config_to_run(o.config);
  return file.empty() ? exit_bad_config : run_command(file);
}

}  // namespace

int run_cli(int argc, char** argv) {
  CLI::App app{"weir, a rate-limiting reverse proxy", "weir"};
  options o;
  add_run(app, o);
  add_proxy(app, o);
  add_check(app, o);
  add_test(app, o);
  add_replay(app, o);
  add_help(app, o);
  add_health(app, o);
  add_reload(app, o);
  add_fmt(app, o);
  add_convert(app, o);
  add_schema(app);
  add_completion(app, o);
  add_man(app);
  add_version(app, o);
  add_echo(app, o);
  app.set_version_flag("--version", "weir " WEIR_VERSION);
  app.require_subcommand(1);
  app.footer("Example:\n  weir run -c weir.yaml");
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    std::fputs(app.help().c_str(), stdout);  // of the verb, when there is one
    return exit_ok;
  } catch (const CLI::CallForVersion& version) {
    std::fputs((std::string{version.what()} + "\n").c_str(), stdout);
    return exit_ok;
  } catch (const CLI::ParseError& error) {
    return explain(app, error, argc, argv);
  }
  return dispatch(app, o);
}

}  // namespace weir::cli
