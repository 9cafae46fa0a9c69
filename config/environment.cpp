// SPDX-License-Identifier: Apache-2.0
#include "config/environment.hpp"

#include <algorithm>
#include <cstdlib>
#include <fmt/format.h>

namespace weir::config {
namespace {

bool is_variable_name(std::string_view name) noexcept {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !name.empty() && letter(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

class expander {
 public:
  expander(const environment& env, reporter& report) : env_(env), report_(report) {}

  void expand(node& n) {
    if (n.kind == node_kind::scalar && n.text.find('$') != std::string::npos) expand_scalar(n);
    for (std::size_t i = 0; i < n.items.size(); ++i) {
      const reporter::scope scope{report_, fmt::format("[{}]", i)};
      expand(n.items[i]);
    }
    for (auto& e : n.entries) {
      const reporter::scope scope{report_, e.key};
      expand(e.value);
    }
  }

 private:
  void expand_scalar(node& n) {
    std::string out;
    std::string_view rest = n.text;
    while (!rest.empty()) {
      const auto dollar = std::min(rest.find('$'), rest.size());
      out += rest.substr(0, dollar);
      rest.remove_prefix(dollar);
      if (rest.empty()) break;
      const auto used = take_reference(rest, out, n);
      n.unresolved = used == 0;
      if (n.unresolved) return;
      rest.remove_prefix(used);
    }
    n.text = std::move(out);
  }

  /// Appends what the reference at the front of `rest` stands for; its length, or 0 after reporting a
  /// problem.
  std::size_t take_reference(std::string_view rest, std::string& out, node& n) {
    if (rest.starts_with("$$")) {
      out += '$';
      return 2;
    }
    const auto end = rest.find('}');
    if (!rest.starts_with("${") || end == std::string_view::npos) {
      report_.error("E0202", n.at, rest.starts_with("${") ? "`${` without its `}`" : "a lone `$`",
                    {"write `$$` for a dollar sign", ""});
      return 0;
    }
    const auto inside = rest.substr(2, end - 2);
    const auto name = inside.substr(0, inside.find(':'));
    const auto option = inside.substr(name.size());
    if (!is_variable_name(name) ||
        (!option.empty() && !option.starts_with(":-") && !option.starts_with(":?"))) {
      report_.error("E0202", n.at, fmt::format("malformed reference {}", in_ticks(rest.substr(0, end + 1))),
                    {"write `${VAR}`, `${VAR:-default}` or `${VAR:?message}`", ""});
      return 0;
    }
    return append_value(name, option, out, n) ? end + 1 : 0;
  }

  bool append_value(std::string_view name, std::string_view option, std::string& out, node& n) {
    const auto value = env_(name);
    const bool usable = value && !(value->empty() && !option.empty());
    if (usable) {
      out += *value;
      n.from_environment = true;
    } else if (option.starts_with(":-")) {
      out += option.substr(2);
    } else {
      const auto why = option.substr(std::min<std::size_t>(option.size(), 2));
      report_.error(
          "E0201", n.at,
          fmt::format("environment variable {} is not set{}{}", in_ticks(name), why.empty() ? "" : ": ", why),
          {fmt::format("set it, or write `${{{}:-default}}`", name.substr(0, 64)), ""});
    }
    return usable || option.starts_with(":-");
  }

  const environment& env_;
  reporter& report_;
};

}  // namespace

environment process_environment() {
  return [](std::string_view name) -> std::optional<std::string> {
    const char* value = std::getenv(std::string{name}.c_str());
    if (value == nullptr) return std::nullopt;
    return std::string{value};
  };
}

void expand_environment(node& root, const environment& env, reporter& report) {
  expander all{env, report};
  for (auto& e : root.entries) {
    if (e.key.starts_with("x-")) continue;
    const reporter::scope scope{report, e.key};
    all.expand(e.value);
  }
}

}  // namespace weir::config
