// SPDX-License-Identifier: Apache-2.0
#include "config/convert/traefik_rule.hpp"

namespace weir::config {
namespace {

class rule_parser {
 public:
  explicit rule_parser(std::string_view text) : rest_(text) {}

  std::optional<traefik_rule> parse() {
    traefik_rule rule;
    do {
      auto condition = alternatives();
      if (!condition) return std::nullopt;
      rule.conditions.push_back(std::move(*condition));
    } while (takes("&&"));
    skip_space();
    const bool ambiguous = or_without_parentheses_ && rule.conditions.size() > 1;  // && binds closer
    return rest_.empty() && !ambiguous ? std::optional{std::move(rule)} : std::nullopt;
  }

 private:
  void skip_space() {
    const auto first = rest_.find_first_not_of(" \t\r\n");
    rest_.remove_prefix(std::min(first, rest_.size()));
  }

  bool takes(std::string_view symbol) {
    skip_space();
    if (!rest_.starts_with(symbol)) return false;
    rest_.remove_prefix(symbol.size());
    return true;
  }

  /// `A(..) || A(..)`, in parentheses or not.
  std::optional<traefik_rule::condition> alternatives() {
    const bool grouped = takes("(");
    auto all = one();
    while (all && takes("||")) {
      const auto next = one();
      or_without_parentheses_ = or_without_parentheses_ || !grouped;
      if (!next || next->matcher != all->matcher) return std::nullopt;
      all->values.insert(all->values.end(), next->values.begin(), next->values.end());
    }
    if (grouped && !takes(")")) return std::nullopt;
    return all;
  }

  std::optional<traefik_rule::condition> one() {
    skip_space();
    const auto open = rest_.find('(');
    if (open == std::string_view::npos || open == 0 || rest_.front() == '!') return std::nullopt;
    traefik_rule::condition condition{std::string{rest_.substr(0, open)}, {}};
    rest_.remove_prefix(open + 1);
    do {
      skip_space();
      if (rest_.empty() || (rest_[0] != '`' && rest_[0] != '"' && rest_[0] != '\'')) return std::nullopt;
      const auto close = rest_.find(rest_[0], 1);
      if (close == std::string_view::npos) return std::nullopt;
      condition.values.emplace_back(rest_.substr(1, close - 1));
      rest_.remove_prefix(close + 1);
    } while (takes(","));
    return takes(")") ? std::optional{std::move(condition)} : std::nullopt;
  }

  std::string_view rest_;
  bool or_without_parentheses_ = false;
};

}  // namespace

std::optional<traefik_rule> parse_traefik_rule(std::string_view text) {
  return rule_parser{text}.parse();
}

}  // namespace weir::config
