// SPDX-License-Identifier: Apache-2.0
// The tree of verbs and options.
#include "config/did_you_mean.hpp"
#include "proxy/cli/cli.hpp"

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
  explain_options explain;
  std::string color = "auto";
  std::string format = "text";
  std::string help_topic;
  proxy_options proxy;
  health_options health;
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
  auto* verb =
      add_verb(app, "run", "serve until SIGTERM; SIGHUP reads the file again", "weir run -c weir.yaml");
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

void add_explain(CLI::App& app, options& o) {
  auto* verb = add_verb(app, "explain", "show what a policy makes of a request, and why",
                        "weir explain weir.yaml GET /v1/search -H \"X-API-Key: k1\" --ip 203.0.113.9");
  explain_options& e = o.explain;
  verb->add_option("file", e.file, "policy file, - for standard input")->required()->type_name("FILE");
  verb->add_option("method", e.method, "such as GET")->type_name("METHOD");
  verb->add_option("url", e.url, "a path, or http://HOST/PATH")->type_name("URL");
  verb->add_option("-H,--header", e.headers, "a field of the request")
      ->type_name("\"NAME: value\"")
      ->take_all();
  verb->add_option("--ip", e.ip, "who connects")->type_name("ADDRESS")->capture_default_str();
  verb->add_option("--user", e.user, "instead of what identity.user finds")->type_name("TEXT");
  verb->add_option("--tier", e.tier, "instead of what identity.tier finds")->type_name("TEXT");
  verb->add_option("--claim", e.claims, "of a token that is valid")->type_name("NAME=VALUE")->take_all();
  verb->add_option("--at", e.at, "when; without: now")->type_name("RFC3339");
  verb->add_flag("--live", e.live, "look into the policy's Redis; nothing is counted");
  verb->add_option("--requests", e.requests,
                   "many requests, a JSON object a line, each behind those before it")
      ->type_name("FILE");
  verb->add_option("--format", o.format, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->type_name("FORMAT");
  add_color(*verb, o);
}

void add_help(CLI::App& app, options& o) {
  auto* verb =
      add_verb(app, "help", "explain a verb, or a code that `weir check` printed", "weir help E0312");
  verb->add_option("topic", o.help_topic, "a verb or a code")->type_name("VERB|CODE");
}

void add_health(CLI::App& app, options& o) {
  auto* verb =
      add_verb(app, "health", "exit 0 when a running weir is ready, 1 when not, 69 when it does not answer",
               "weir health --admin http://127.0.0.1:9901");
  verb->add_option("--admin", o.health.admin, "its admin port")->type_name("URL")->capture_default_str();
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
  return usage_error(error.what(), "", help);
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
  if (app.got_subcommand("explain")) {
    o.explain.color = wants_color(o.color);
    o.explain.json = o.format == "json";
    return explain_command(o.explain);
  }
  if (app.got_subcommand("proxy")) return proxy_command(o.proxy);
  if (app.got_subcommand("help")) return help_about(app, o.help_topic);
  if (app.got_subcommand("health")) return health_command(o.health);
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
  add_explain(app, o);
  add_help(app, o);
  add_health(app, o);
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
