// SPDX-License-Identifier: Apache-2.0
#include "config/format/format.hpp"

#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

using namespace weir::config;

namespace {

const std::string web = "upstreams:\n  web: {url: \"http://h\"}\n";

std::optional<std::string> no_variables(std::string_view) {
  return std::nullopt;
}

load_result loaded(std::string text) {
  return load_text(std::move(text), "f.yaml", std::string{WEIR_SOURCE_DIR} + "/config/examples",
                   no_variables);
}

std::string formatted(const std::string& text) {
  const auto before = loaded(text);
  const auto result = format_policy(before);
  for (const auto& p : result.problems) MESSAGE(render(p, text, false));
  REQUIRE(result.lossless);
  REQUIRE(result.text);
  return *result.text;
}

/// `text` is laid out as `wanted`, and that as itself.
void check_layout(const std::string& text, const std::string& wanted) {
  CHECK(formatted(text) == wanted);
  CHECK(formatted(wanted) == wanted);
}

std::string content_of(const std::filesystem::path& path) {
  std::ifstream file{path};
  return {std::istreambuf_iterator<char>{file}, std::istreambuf_iterator<char>{}};
}

void check_same_settings(const std::string& a, const std::string& b) {
  const auto before = loaded(a);
  const auto after = loaded(b);
  REQUIRE(before.settings);
  REQUIRE(after.settings);
  const auto& x = *before.settings;
  const auto& y = *after.settings;
  CHECK(x.listeners == y.listeners);
  CHECK(x.admin == y.admin);
  CHECK(x.store == y.store);
  CHECK(x.upstreams == y.upstreams);
  CHECK(x.access_log == y.access_log);
  CHECK(before.rule_summaries == after.rule_summaries);
  CHECK(x.policy.rules().size() == y.policy.rules().size());
}

/// Comments and blank lines at random places where YAML allows them: behind lines and between them.
std::string sprinkled(const std::string& text, std::mt19937& random) {
  const auto one_in = [&](unsigned n) { return random() % n == 0; };
  std::string out;
  int number = 0;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = text.find('\n', at);
    auto line = text.substr(at, end - at);
    at = end + 1;
    if (one_in(8)) out += "\n";
    if (one_in(5)) out += std::string(random() % 9, ' ') + "# own " + std::to_string(++number) + "\n";
    if (one_in(5) && line.find('#') == std::string::npos && !line.empty())
      line += std::string(1 + random() % 30, ' ') + "# beside " + std::to_string(++number);
    out += line + "\n";
  }
  return out;
}

std::size_t count(std::string_view text, std::string_view part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

}  // namespace

TEST_CASE("keys go into the order of the reference, names of the user's own stay where they are") {
  check_layout(
      "rules:\n  - limit: 5/second\n    key: [client_ip]\n    name: r\nupstreams:\n  zeta: {url: "
      "\"http://z\"}\n  alpha: "
      "{url: \"http://a\"}\nroutes:\n  - {upstream: zeta, match: {path: /a, methods: GET}, name: "
      "a}\nversion: 1\n",
      "version: 1\nupstreams:\n  zeta: {url: \"http://z\"}\n  alpha: {url: \"http://a\"}\nroutes:\n  - "
      "{name: a, match: "
      "{methods: GET, path: /a}, upstream: zeta}\nrules:\n  - name: r\n    key: [client_ip]\n    limit: "
      "5/second\n");
}

TEST_CASE("comments travel with the key they belong to") {
  check_layout(
      "# head\nversion: 1\n# about rules\nrules:  # every one\n  # the first\n  - name: r  # its name\n    "
      "key: [client_ip]\n"
      "    # how much\n    limit: 5/second\n    # burst: 9\n  # - name: later\n# where to\n" +
          web + "# the end\n",
      "# head\nversion: 1\n# where to\n" + web +
          "# about rules\nrules:  # every one\n  # the first\n  - name: r  # its name\n    key: "
          "[client_ip]\n    # how "
          "much\n    limit: 5/second\n    # burst: 9\n  # - name: later\n# the end\n");
}

TEST_CASE("a comment stays in its column where that is free, else two spaces behind the text") {
  check_layout("version: 1           # one\n" + web + "workers: 2 # two\n",
               "version: 1           # one\nworkers: 2  # two\n" + web);
}

TEST_CASE("blank lines stay, but one at a time and none at the beginning of a map") {
  check_layout("version: 1\n\n\n\n" + web + "\n\n", "version: 1\n\n" + web);
  check_layout("version: 1\ndrain:\n\n  delay: 1s\n\n  timeout: 9s\n" + web,
               "version: 1\ndrain:\n  delay: 1s\n\n  timeout: 9s\n" + web);
}

TEST_CASE(
    "brackets stay on one line; with comments inside, or when they are too long, keys go below each other") {
  check_layout("version: 1\ndrain: {delay: 1s,  # quick\n        timeout: 9s}\n" + web,
               "version: 1\ndrain:\n  delay: 1s         # quick\n  timeout: 9s\n" + web);
  const std::string item = "{match: {path: /" + std::string(60, 'a') + "}, reason: nothing-to-see-here}";
  check_layout("version: 1\nexempt: [" + item + "]\n" + web,
               "version: 1\n" + web + "exempt: [" + item + "]\n");
  check_layout("version: 1\nexempt: [" + item + ", " + item + "]\n" + web,
               "version: 1\n" + web + "exempt:\n  - " + item + "\n  - " + item + "\n");
  check_layout("version: 1\nlisten: [\"127.0.0.1:1\",\n  \"127.0.0.1:2\"\n  # the last\n]\n" + web,
               "version: 1\nlisten:\n  - 127.0.0.1:1\n  - 127.0.0.1:2\n  # the last\n" + web);
}

TEST_CASE("quotes go where no reader needs them, and stay where one would take the text for something else") {
  check_layout(
      "version: 1\nadmin: \"127.0.0.1:9901\"\nlisten: '[::1]:80'\nvia: 'weir'\n" + web +
          "rules:\n  - name: \"r\"\n    match: {header: {X-A: \"yes\", X-B: \"12\", X-C: 'a b', X-D: "
          "\"1.5\"}}\n    key: "
          "[\"client_ip\", 'constant:all', \"header:X\"]\n    missing: skip\n    limit: '5/second'\n",
      "version: 1\nlisten: \"[::1]:80\"\nadmin: 127.0.0.1:9901\nvia: weir\n" + web +
          "rules:\n  - name: r\n    match: {header: {X-A: \"yes\", X-B: \"12\", X-C: a b, X-D: \"1.5\"}}\n   "
          " key: "
          "[client_ip, \"constant:all\", \"header:X\"]\n    missing: skip\n    limit: 5/second\n");
}

TEST_CASE("anchors come before the aliases that use them") {
  const std::string common = "x-note: |\n  kept # as it\n    is\nx-common:\n  a: &quick {connect: 1s}\n";
  const std::string timed = "upstreams:\n  web: {url: \"http://h\", timeout: *quick}\n";
  check_layout(common + timed + "version: 1\n", "version: 1\n" + common + timed);
}

TEST_CASE("lists go two deeper than their key, however they stood") {
  check_layout("version: 1\nlisten:\n- 127.0.0.1:1\n-   127.0.0.1:2\n" + web,
               "version: 1\nlisten:\n  - 127.0.0.1:1\n  - 127.0.0.1:2\n" + web);
}

TEST_CASE("`---`, line ends of Windows and comments of every language survive") {
  check_layout("# Grüße\r\n---\r\nversion: 1  # größer\r\n" + web,
               "# Grüße\n---\nversion: 1  # größer\n" + web);
}

TEST_CASE("a file with errors is refused; what this machine lacks is none") {
  const auto broken = format_policy(loaded("version: 1\nrulez: []\n" + web));
  CHECK_FALSE(broken.text);
  REQUIRE_FALSE(broken.problems.empty());
  CHECK(broken.problems.front().code == "E0312");
  CHECK(format_policy(loaded("version: 1\nvia: ${NOT_SET}\nhash_key_file: /no/such/file\n" + web)).text);
}

TEST_CASE("the examples keep their settings and their comments") {
  for (const auto& file :
       std::filesystem::directory_iterator{std::string{WEIR_SOURCE_DIR} + "/config/examples"}) {
    if (file.path().extension() != ".yaml") continue;
    CAPTURE(file.path().string());
    const auto text = content_of(file.path());
    const auto result = formatted(text);
    check_same_settings(text, result);
    CHECK(count(text, "# ") == count(result, "# "));
    CHECK(formatted(result) == result);
  }
}

TEST_CASE("comments at any place survive") {
  const auto full = content_of(std::string{WEIR_SOURCE_DIR} + "/config/examples/full.yaml");
  for (unsigned seed = 0; seed < 200; ++seed) {
    CAPTURE(seed);
    std::mt19937 random{seed};
    const auto text = sprinkled(full, random);
    const auto result = format_policy(loaded(text));
    REQUIRE(result.problems.empty());
    REQUIRE(result.lossless);
    CHECK(count(text, "# own") == count(*result.text, "# own"));
    CHECK(count(text, "# beside") == count(*result.text, "# beside"));
    if (seed < 5) check_same_settings(text, *result.text);
  }
}
