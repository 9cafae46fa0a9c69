// SPDX-License-Identifier: Apache-2.0
#include "proxy/cli/check_report.hpp"

#include "config/codes.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <set>

namespace weir::cli {
namespace {

namespace json = boost::json;

std::string_view level_of(config::severity severity) {
  switch (severity) {
    case config::severity::error:
      return "error";
    case config::severity::warning:
      return "warning";
    case config::severity::note:
      break;
  }
  return "note";
}

json::object problem_object(const config::problem& p) {
  return {{"severity", level_of(p.severity)},
          {"code", p.code},
          {"line", p.line},
          {"column", p.column},
          {"width", p.width},
          {"path", p.path},
          {"message", p.message},
          {"hint", p.hint},
          {"help", p.help}};
}

json::object rule_object(const config::rule_outlook& rule) {
  json::array remarks;
  for (const auto& remark : rule.remarks) remarks.emplace_back(remark);
  return {{"name", rule.name},   {"fate", config::fate_name(rule.fate)},
          {"why", rule.why},     {"before", rule.before},
          {"after", rule.after}, {"remarks", std::move(remarks)}};
}

json::object outlook_object(const config::outlook& what) {
  json::array rules;
  for (const auto& rule : what.rules) rules.push_back(rule_object(rule));
  return {{"file", what.old_name},
          {"hash_before", what.hash_before},
          {"hash_after", what.hash_after},
          {"rules", std::move(rules)}};
}

json::object file_object(const checked_file& file) {
  json::array problems, rules;
  for (const auto& p : file.loaded.problems) problems.push_back(problem_object(p));
  for (const auto& rule : file.loaded.rule_summaries) rules.emplace_back(rule);
  json::object all{{"file", file.name},
                   {"ok", !config::has_errors(file.loaded.problems)},
                   {"problems", std::move(problems)},
                   {"rules", std::move(rules)},
                   {"redis_user", file.redis_user}};
  if (file.against) all["against"] = outlook_object(*file.against);
  return all;
}

std::string sarif_message(const config::problem& p) {
  std::string text = p.message;
  if (!p.hint.empty()) text += "; " + p.hint;
  if (!p.help.empty()) text += ". " + p.help;
  return text;
}

json::object sarif_result(const config::problem& p, const std::string& file) {
  json::object place{{"artifactLocation", json::object{{"uri", file}}}};
  if (p.line > 0) {
    place["region"] = json::object{{"startLine", p.line},
                                   {"startColumn", std::max(p.column, 1)},
                                   {"endColumn", std::max(p.column, 1) + std::max(p.width, 1)}};
  }
  return {{"ruleId", p.code},
          {"level", level_of(p.severity)},
          {"message", json::object{{"text", sarif_message(p)}}},
          {"locations", json::array{json::object{{"physicalLocation", std::move(place)}}}}};
}

json::object sarif_rule(std::string_view code) {
  return {{"id", code},
          {"shortDescription", json::object{{"text", config::explain_code(code)}}},
          {"help", json::object{{"text", "weir help " + std::string{code}}}}};
}

}  // namespace

std::string text_report(const checked_file& file, bool color) {
  const auto& loaded = file.loaded;
  std::string text;
  const auto first_advice = std::find_if(loaded.problems.begin(), loaded.problems.end(),
                                         [](const auto& p) { return p.severity != config::severity::error; });
  const auto append = [&](auto from, auto to) {
    for (; from != to; ++from) text += config::render(*from, loaded.source_text, color);
  };
  append(loaded.problems.begin(), first_advice);  // errors come first
  for (const auto& rule : loaded.rule_summaries) text += rule + "\n";
  if (loaded.settings) text += limiter::modes_in_words(loaded.settings->policy.rules()) + "\n";
  if (!file.redis_user.empty()) text += "store: a Redis user needs " + file.redis_user + "\n";
  if (file.against) text += config::outlook_in_words(*file.against);
  append(first_advice, loaded.problems.end());
  return text + config::summary(loaded.problems, file.name) + "\n";
}

std::string json_report(const std::vector<checked_file>& files) {
  json::array all;
  for (const auto& file : files) all.push_back(file_object(file));
  return json::serialize(all) + "\n";
}

std::string sarif_report(const std::vector<checked_file>& files, std::string_view version) {
  std::set<std::string> codes;
  json::array results, rules;
  for (const auto& file : files) {
    for (const auto& p : file.loaded.problems) {
      codes.insert(p.code);
      results.push_back(sarif_result(p, file.name));
    }
  }
  for (const auto& code : codes) rules.push_back(sarif_rule(code));
  json::object driver{{"name", "weir"}, {"version", version}, {"rules", std::move(rules)}};
  json::object run{{"tool", json::object{{"driver", std::move(driver)}}},
                   {"columnKind", "unicodeCodePoints"},
                   {"results", std::move(results)}};
  const json::object log{{"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
                         {"version", "2.1.0"},
                         {"runs", json::array{std::move(run)}}};
  return json::serialize(log) + "\n";
}

}  // namespace weir::cli
