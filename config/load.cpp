// SPDX-License-Identifier: Apache-2.0
#include "config/load.hpp"

#include "config/checks.hpp"
#include "config/environment.hpp"
#include "config/rule_words.hpp"
#include "config/sections/sections.hpp"
#include "config/source_text.hpp"
#include "config/test_checks.hpp"
#include "config/yaml_reader.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fmt/format.h>
#include <iostream>
#include <openssl/rand.h>
#include <openssl/sha.h>

namespace weir::config {
namespace {

constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

std::string hash_of(std::string_view text) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  return fmt::format("{:02x}", fmt::join(digest.begin(), digest.begin() + 6, ""));
}

using hash_key = std::array<unsigned char, 32>;

/// One key for the life of the process, so that a reload does not change the hashes of users; null without
/// entropy.
const hash_key* process_hash_key() {
  static const auto key = [] {
    std::optional<hash_key> random{std::in_place};
    if (RAND_bytes(random->data(), static_cast<int>(random->size())) != 1) random.reset();
    return random;
  }();
  return key ? &*key : nullptr;
}

/// Extensions are the user's own: anchors and notes.
void drop_extensions(node& root) {
  std::erase_if(root.entries, [](const entry& e) { return e.key.starts_with("x-"); });
}

/// Behind a syntax error the rest of the file is unknown: what is "missing" may be there.
void keep_what_is_certain(std::vector<problem>& problems, std::size_t from, const document& file) {
  const auto doubtful = [&](const problem& p) {
    return p.code == "E0302" || p.line == 0 || p.line >= file.stopped_at_line;
  };
  const auto first = problems.begin() + static_cast<std::ptrdiff_t>(from);
  problems.erase(std::remove_if(first, problems.end(), doubtful), problems.end());
}

void sort_by_place(std::vector<problem>& problems) {
  std::stable_sort(problems.begin(), problems.end(), [](const problem& a, const problem& b) {
    const auto key = [](const problem& p) { return std::tuple{p.severity, p.line == 0, p.line, p.column}; };
    return key(a) < key(b);
  });
}

void load_into(load_result& result, const std::string& name, const std::string& directory,
               const environment& env) {
  reporter report{name, result.problems};
  auto file = read_yaml(result.source_text, report);
  const auto from_reader = result.problems.size();
  expand_environment(file.root, env, report);
  drop_extensions(file.root);
  context ctx{report, directory, result.files};
  file_draft draft;
  if (!file.complete) {
    if (file.root.kind == node_kind::map) read_map(file.root, file_table(), draft, ctx, "the file");
    return keep_what_is_certain(result.problems, from_reader, file);
  }
  if (!read_map(file.root, file_table(), draft, ctx, "the file")) return;
  result.tests = complete_tests(draft, report);
  check_and_complete(draft, env, report);
  auto limits = draft.settings.policy.rules();
  const auto& concurrency = draft.settings.concurrency.rules();
  limits.insert(limits.end(), concurrency.begin(), concurrency.end());
  result.rule_summaries = rules_in_words(limits);
  if (has_errors(result.problems)) return;
  auto& s = draft.settings;
  s.hash_key_is_kept = draft.has_hash_key;
  if (!draft.has_hash_key) {
    const auto* key = process_hash_key();
    if (key == nullptr)
      return report.error("E0502", {}, "no random bytes for a hash key", {"", "set `hash_key_file`"});
    s.hash_key = *key;
  }
  s.hash = hash_of(result.source_text);
  s.source = name;
  s.files = result.files;
  result.settings = std::make_shared<const proxy::settings>(std::move(s));
}

/// At most one byte more than a policy file may have: the reader refuses it then.
std::string read_standard_input() {
  std::string text(file_size_max + 1, '\0');
  std::cin.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(std::cin.gcount()));
  return text;
}

load_result load_source(std::string text, std::vector<proxy::source_file> files, const std::string& name,
                        const std::string& directory, const environment& env) {
  load_result result;
  result.files = std::move(files);
  if (text.starts_with(byte_order_mark)) text.erase(0, byte_order_mark.size());
  result.source_text = std::move(text);
  load_into(result, name, directory, env);
  sort_by_place(result.problems);
  return result;
}

}  // namespace

load_result load_text(std::string text, const std::string& name, const std::string& directory,
                      const environment& env) {
  return load_source(std::move(text), {}, name, directory, env);
}

read_result read_text_file(const std::string& path) {
  if (path == "-") return {read_standard_input(), {}};
  std::vector<proxy::source_file> files;
  auto source = read_source(path, file_size_max, files);
  return {std::move(source.text), std::move(source.problem)};
}

load_result load_file(const std::string& path, const environment& env) {
  if (path == "-") return load_text(read_standard_input(), "<stdin>", ".", env);
  std::vector<proxy::source_file> files;
  auto source = read_source(path, file_size_max, files);
  if (source.text) {
    return load_source(*std::move(source.text), std::move(files), path,
                       std::filesystem::path{path}.parent_path().string(), env);
  }
  load_result unreadable;
  unreadable.files = std::move(files);
  reporter report{path, unreadable.problems};
  report.error("E0501", {}, fmt::format("cannot read {}: {}", in_ticks(path), source.problem));
  return unreadable;
}

}  // namespace weir::config
