// SPDX-License-Identifier: Apache-2.0
#include "config/convert/policy_draft.hpp"

#include "config/format/scalars.hpp"
#include "limiter/path_template.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace weir::config {
namespace {

constexpr std::size_t comment_width = 110;

/// Text of the origin's file may hold line ends, which would end the comment.
std::string on_one_line(std::string_view text) {
  std::string out{text};
  std::replace_if(
      out.begin(), out.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }, ' ');
  return out;
}

/// "# weir.conf:12: ..." over as many lines as it needs.
std::string comment_lines(const conversion_note& note, std::string_view file, std::size_t indent) {
  const auto all = on_one_line(note.text);
  std::string_view rest = all;
  std::string text;
  auto line = note.line > 0 ? fmt::format("{}:{}: ", file, note.line) : std::string{};
  while (!rest.empty()) {
    const auto room = comment_width > indent + line.size() + 2 ? comment_width - indent - line.size() - 2 : 1;
    auto cut = rest.size() <= room ? rest.size() : rest.rfind(' ', room);
    if (cut == std::string_view::npos || cut == 0) cut = std::min(rest.find(' '), rest.size());
    text += fmt::format("{}# {}{}\n", std::string(indent, ' '), line, rest.substr(0, cut));
    rest.remove_prefix(std::min(rest.size(), cut + 1));
    line = "  ";
  }
  return text;
}

class writer {
 public:
  explicit writer(std::string_view file) : file_(file) {}

  void comments(const notes& about, std::size_t indent) {
    for (const auto& note : about) text += comment_lines(note, file_, indent);
  }

  void section(const std::string& name, const policy_item& item) {
    comments(item.notes, 0);
    text += fmt::format("{}: {}\n", name, in_brackets(item));
  }

  void list(const std::string& name, const std::vector<policy_item>& items) {
    if (items.empty()) return;
    text += name + ":\n";
    for (const auto& item : items) {
      comments(item.notes, 2);
      for (const auto& field : item.fields)
        text += fmt::format("{}{}: {}\n", &field == &item.fields.front() ? "  - " : "    ", field.first,
                            field.second);
    }
  }

  static std::string in_brackets(const policy_item& item) {
    if (item.fields.size() == 1 && item.fields.front().first.empty()) return item.fields.front().second;
    std::string all;
    for (const auto& [key, value] : item.fields)
      all += fmt::format("{}{}: {}", all.empty() ? "" : ", ", key, value);
    return "{" + all + "}";
  }

  std::string text;

 private:
  std::string_view file_;
};

}  // namespace

policy_item& policy_item::set(std::string key, std::string value) {
  const auto found =
      std::find_if(fields.begin(), fields.end(), [&](const auto& f) { return f.first == key; });
  if (found != fields.end()) {
    found->second = std::move(value);
  } else {
    fields.emplace_back(std::move(key), std::move(value));
  }
  return *this;
}

policy_item& policy_draft::section(const std::string& name) {
  const auto found =
      std::find_if(sections.begin(), sections.end(), [&](const auto& s) { return s.first == name; });
  return found != sections.end() ? found->second : sections.emplace_back(name, policy_item{}).second;
}

bool policy_draft::has_section(const std::string& name) const {
  return std::any_of(sections.begin(), sections.end(), [&](const auto& s) { return s.first == name; });
}

std::string policy_draft::free_name(const std::string& kind, std::string_view wanted) {
  constexpr std::size_t longest = 56;  // leaves room for a number
  std::string base;
  for (const char c : wanted) {
    const bool upper = c >= 'A' && c <= 'Z';
    const char lower = upper ? static_cast<char>(c - 'A' + 'a') : c;
    const bool fine = (lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9');
    if (fine) {
      base += lower;
    } else if (!base.empty() && base.back() != '-') {
      base += '-';
    }
  }
  base.resize(std::min(base.size(), longest));
  while (base.ends_with('-')) base.pop_back();
  if (base.empty() || base.front() < 'a')
    base = base.empty() ? kind.substr(0, 1) : fmt::format("{}-{}", kind.front(), base);
  auto name = base;
  for (int number = 2; !names.insert(fmt::format("{}/{}", kind, name)).second; ++number)
    name = fmt::format("{}-{}", base, number);
  return name;
}

std::string written(std::string_view text) {
  return written_scalar(text, false, true);
}

std::string written_list(const std::vector<std::string>& items) {
  std::string all;
  for (const auto& item : items) all += (all.empty() ? "" : ", ") + written(item);
  return "[" + all + "]";
}

std::string below(std::string path) {
  while (path.ends_with('/')) path.pop_back();
  return path + "/**";
}

std::optional<std::string> usable_template(std::string text) {
  return limiter::path_template_problem(text).empty() ? std::optional{std::move(text)} : std::nullopt;
}

std::string policy_text(const policy_draft& draft, std::string_view made_by, std::string_view name) {
  const auto file = on_one_line(name);
  writer out{file};
  out.text = fmt::format(
      "# Made by `weir convert {}` from {}. Each comment with a line tells what is missing here or means\n"
      "# something else than there.\n",
      made_by, file);
  out.comments(draft.notes, 0);
  out.text += "\nversion: 1\n";
  for (const auto& [section, item] : draft.sections) out.section(section, item);
  out.text += "upstreams:\n";
  for (const auto& [upstream, item] : draft.upstreams) {
    out.comments(item.notes, 2);
    out.text += fmt::format("  {}: {}\n", upstream, writer::in_brackets(item));
  }
  out.list("routes", draft.routes);
  out.list("block", draft.block);
  out.list("rules", draft.rules);
  out.list("concurrency", draft.concurrency);
  return std::move(out.text);
}

notes all_notes(const policy_draft& draft) {
  auto all = draft.notes;
  const auto add = [&all](const policy_item& item) {
    all.insert(all.end(), item.notes.begin(), item.notes.end());
  };
  for (const auto& [name, item] : draft.sections) add(item);
  for (const auto& [name, item] : draft.upstreams) add(item);
  for (const auto* list : {&draft.routes, &draft.block, &draft.rules, &draft.concurrency}) {
    for (const auto& item : *list) add(item);
  }
  for (auto& note : all) note.text = on_one_line(note.text);
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.line < b.line; });
  return all;
}

}  // namespace weir::config
