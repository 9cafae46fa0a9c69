// SPDX-License-Identifier: Apache-2.0
#include "config/codes.hpp"

#include <array>

namespace weir::config {
namespace {

constexpr std::array codes{
    code_entry{"E0101", "the text is not YAML"},
    code_entry{"E0102", "a key is given twice in one map"},
    code_entry{"E0103", "a quote is not closed"},
    code_entry{"E0104", "a bracket is not closed, or a comma is missing inside it"},
    code_entry{"E0105", "a number in a notation that readers of YAML disagree about"},
    code_entry{"E0106", "a YAML 1.1 boolean (yes no on off y n)"},
    code_entry{"E0107", "a merge key `<<`"},
    code_entry{"E0108", "a tag"},
    code_entry{"E0109", "more than one document in the file"},
    code_entry{"E0110", "a tab outside quotes and comments"},
    code_entry{"E0111", "a key that is not text"},
    code_entry{"E0112", "NUL or another control character"},
    code_entry{"E0113", "text that is not UTF-8"},
    code_entry{"E0114", "a file larger than 1MiB"},
    code_entry{"E0115", "nesting deeper than 32 levels"},
    code_entry{"E0116", "an alias that is not allowed or grows too large"},
    code_entry{"E0201", "an environment variable that is not set"},
    code_entry{"E0202", "a malformed `${...}`"},
    code_entry{"E0203", "a quantity without its unit, with a wrong one, or with one that is not wanted"},
    code_entry{"E0204", "a value out of its range"},
    code_entry{"E0205", "a value of the wrong type"},
    code_entry{"E0206", "a word that is not one of the choices"},
    code_entry{"E0207", "a quota that cannot be computed exactly"},
    code_entry{"E0208", "a cost above the capacity of its rule"},
    code_entry{"E0209", "a malformed address"},
    code_entry{"E0210", "a malformed URL"},
    code_entry{"E0211", "a malformed name"},
    code_entry{"E0212", "a malformed or inexact network"},
    code_entry{"E0213",
               "a malformed path, path template, method, host, protocol, field name or JSON pointer"},
    code_entry{"E0214", "an unknown selector"},
    code_entry{"E0215", "an unknown time zone"},
    code_entry{"E0216", "a malformed instant"},
    code_entry{"E0301", "a map, list or value where another one is expected"},
    code_entry{"E0302", "a required key is missing"},
    code_entry{"E0303", "a list that is too short, too long, or repeats an item"},
    code_entry{"E0304", "keys that exclude each other"},
    code_entry{"E0305", "`missing` must say what happens when a selector has no value"},
    code_entry{"E0306", "the admin port would be reachable from other machines"},
    code_entry{"E0307", "a version of the file format that does not exist"},
    code_entry{"E0308", "drain.timeout must be longer than drain.delay"},
    code_entry{"E0309", "a method that must not be sent twice is listed for retries"},
    code_entry{"E0310", "several upstreams and no routes"},
    code_entry{"E0312", "an unknown key"},
    code_entry{"E0401", "an upstream that does not exist"},
    code_entry{"E0402", "a route that does not exist"},
    code_entry{"E0403", "a name that is used twice"},
    code_entry{"E0404", "two rule names with the same stored id"},
    code_entry{"E0405", "emitters that write the same fields"},
    code_entry{"E0406", "a change that needs a restart"},
    code_entry{"E0407", "a path parameter that no route has"},
    code_entry{"E0408", "a rule that does not exist"},
    code_entry{"E0501", "a file that cannot be read"},
    code_entry{"E0502", "a file whose content cannot be used"},
    code_entry{"W0107", "the most a token bucket or a window lets through in one period"},
    code_entry{"W0108", "a share of less than one unit for each replica: the rule acts as strict"},
    code_entry{"W0110", "there are no rules: everything is forwarded"},
    code_entry{"W0111", "an override that has ended"},
    code_entry{"W0112", "a rule with a penalty, whose units cannot be leased: it acts as strict"},
    code_entry{"W0203", "no trusted proxies, but a rule counts by client address"},
    code_entry{"W0204", "a rule on a value the client chooses, without one on its address"},
    code_entry{"W0205", "tokens are believed without a signature"},
    code_entry{"W0206", "a rule counts by user, but no source of users is configured"},
    code_entry{"W0207", "tokens are verified, but nothing reads a claim"},
    code_entry{"W0301", "a probe that rules count"},
    code_entry{"W0401", "a reload after which a rule starts empty for every client"},
    code_entry{"W0208", "a limit of a tier that no request has"},
    code_entry{"W0501", "an in-memory store in a Pod: every replica counts alone"},
    code_entry{"W0601", "an upstream or a store whose certificate is not verified"},
};

}  // namespace

std::span<const code_entry> all_codes() noexcept {
  return codes;
}

std::string_view explain_code(std::string_view code) noexcept {
  for (const auto& entry : codes) {
    if (entry.code == code) return entry.explanation;
  }
  return {};
}

}  // namespace weir::config
