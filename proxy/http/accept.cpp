// SPDX-License-Identifier: Apache-2.0
#include "proxy/http/accept.hpp"

#include "proxy/http/grammar.hpp"

#include <algorithm>

namespace weir::http {
namespace {

/// Takes the text before the next `;` off `rest`, OWS trimmed.
std::string_view next_part(std::string_view& rest) noexcept {
  const std::size_t end = rest.find(';');
  const std::string_view part = grammar::trim_ows(rest.substr(0, end));
  rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
  return part;
}

/// A qvalue in thousandths; -1 when it is none (RFC 9110 12.4.2).
int parse_weight(std::string_view text) noexcept {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return -1;
  if (text.size() > 1 && text[1] != '.') return -1;
  int thousandths = (text[0] - '0') * 1000;
  int place = 100;
  for (const char c : text.substr(std::min<std::size_t>(2, text.size()))) {
    if (c < '0' || c > '9') return -1;
    thousandths += (c - '0') * place;
    place /= 10;
  }
  return thousandths <= 1000 ? thousandths : -1;
}

/// The weight among the parameters of a range; 1000 without one, -1 when it is malformed.
int weight_of(std::string_view parameters) noexcept {
  while (!parameters.empty()) {
    const std::string_view part = next_part(parameters);
    if (part.size() >= 2 && (part[0] == 'q' || part[0] == 'Q') && part[1] == '=') {
      return parse_weight(part.substr(2));
    }
  }
  return 1000;
}

}  // namespace

void accept_quality::add(std::string_view ranges) noexcept {
  std::string_view element;
  while (grammar::next_element(ranges, element)) {
    std::string_view parameters = element;
    const std::string_view range = next_part(parameters);
    const std::size_t slash = range.find('/');
    if (slash == std::string_view::npos) continue;
    const std::string_view type = range.substr(0, slash);
    const std::string_view subtype = range.substr(slash + 1);
    int specificity = 0;
    if (type == "*" && subtype == "*") specificity = 1;
    if (grammar::equals_ignoring_case(type, type_)) {
      if (subtype == "*") specificity = 2;
      if (grammar::equals_ignoring_case(subtype, subtype_)) specificity = 3;
    }
    const int weight = weight_of(parameters);
    if (weight < 0 || specificity == 0 || specificity < specificity_) continue;
    value_ = specificity > specificity_ ? weight : std::max(value_, weight);
    specificity_ = specificity;
  }
}

bool prefers_problem_json(const request_head& head, std::string_view buffer) noexcept {
  accept_quality envelope("application", "json");
  accept_quality problem("application", "problem+json");
  for (std::size_t i = 0; i < head.field_count; ++i) {
    const field& f = head.fields[i];
    if (f.dropped || !grammar::equals_ignoring_case(head.name(f, buffer), "accept")) continue;
    envelope.add(head.value(f, buffer));
    problem.add(head.value(f, buffer));
  }
  return problem.value() > envelope.value();
}

}  // namespace weir::http
