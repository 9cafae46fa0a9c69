// SPDX-License-Identifier: Apache-2.0
#include "config/schema/value_forms.hpp"

#include "config/units.hpp"

#include <array>
#include <charconv>
#include <fmt/format.h>
#include <stdexcept>

namespace weir::config {
namespace {

namespace json = boost::json;

constexpr const char* variable = R"(\$\{)";

/// A form that is one scalar. Patterns say how it is written; what a range allows beyond that, the reader
/// checks.
struct scalar_form {
  std::string_view type;
  std::string_view plural;   ///< in "list of ..."
  std::string_view pattern;  ///< empty: any text
  bool number_like = false;  ///< `true` or `5` without quotes is such a text, too
};

constexpr std::array scalar_forms{
    scalar_form{"duration", "durations", R"([0-9]+(\.[0-9]+)?(us|ms|s|m|h|d))"},
    scalar_form{"size", "sizes", R"([0-9]+(B|KiB|MiB|GiB))"},
    scalar_form{"percent", "percents", R"((100|[0-9]{1,2})%)"},
    scalar_form{"rate", "rates", R"([0-9]+/(second|minute|hour|day|month|[0-9]+(\.[0-9]+)?(us|ms|s|m|h|d)))"},
    scalar_form{"SIZE/second", "", R"([0-9]+(B|KiB|MiB|GiB)/second)"},
    scalar_form{"name", "names", R"([a-z][a-z0-9-]{0,63})", true},
    scalar_form{"address", "addresses", R"(unix:.+|.*:[0-9]{1,5})"},
    scalar_form{"url", "urls", R"((memory|redis|rediss|https?)://.*|unix:.+)"},
    scalar_form{"path", "paths", R"(/.*)"},
    scalar_form{"template", "templates", R"(/.*)"},
    scalar_form{"method", "methods", R"([!#$%&'*+.^_`|~0-9A-Z-]+)", true},
    scalar_form{"network", "networks", R"([0-9A-Fa-f.:]+(/[0-9]{1,3})?)"},
    scalar_form{
        "selector", "selectors",
        R"(client_ip|method|host|route|upstream|user|tier|(header|cookie|query|claim|path_param|constant):.+)"},
    scalar_form{"field name", "field names", R"([!#$%&'*+.^_`|~0-9A-Za-z-]+)", true},
    scalar_form{"protocol", "protocols", R"([!#$%&'*+.^_`|~0-9A-Za-z-]+)", true},
    scalar_form{"cookie name", "", ""},
    scalar_form{"parameter name", "", ""},
    scalar_form{"claim name", "", ""},
    scalar_form{"file", "files", ""},
    scalar_form{"host", "hosts", ""},
    scalar_form{"text", "texts", ""},
};

/// `a` `b` of a range.
std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  for (auto open = text.find('`'); open != std::string_view::npos; open = text.find('`')) {
    text.remove_prefix(open + 1);
    const auto close = text.find('`');
    if (close == std::string_view::npos) break;
    words.push_back(text.substr(0, close));
    text.remove_prefix(close + 1);
  }
  return words;
}

std::optional<std::int64_t> leading_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  return failed == std::errc{} && end != text.data() ? std::optional{value} : std::nullopt;
}

struct bounds {
  std::optional<std::int64_t> min;
  std::optional<std::int64_t> max;
};

/// The bounds that a range states first: "1–64", "up to 8", "1", "0–capacity"; "429 or 503" has none.
bounds bounds_of(std::string_view range) {
  constexpr std::string_view up_to = "up to ";
  constexpr std::string_view dash = "–";
  if (range.starts_with(up_to)) return {std::nullopt, leading_number(range.substr(up_to.size()))};
  const auto first = leading_number(range);
  if (!first) return {};
  const auto digits = range.find_first_not_of("0123456789");
  if (digits == std::string_view::npos) return {first, first};
  const auto rest = range.substr(digits);
  if (!rest.starts_with(dash)) return {};
  return {first, leading_number(rest.substr(dash.size()))};
}

json::object integer_between(const bounds& within) {
  json::object schema{{"type", {"integer", "string"}}, {"pattern", fmt::format("^[0-9]+$|{}", variable)}};
  if (within.min) schema["minimum"] = *within.min;
  if (within.max) schema["maximum"] = *within.max;
  return schema;
}

/// `words` also completes in editors, which a pattern does not.
json::object one_of_words(const std::vector<std::string_view>& words) {
  json::array choices;
  for (const auto word : words) choices.emplace_back(word);
  return {{"anyOf", json::array{json::object{{"enum", std::move(choices)}},
                                json::object{{"type", "string"}, {"pattern", variable}}}}};
}

json::object any_text() {
  return {{"type", {"string", "number", "boolean"}}};  // what is written is what counts, quoted or not
}

json::object text_like(const scalar_form& form) {
  if (form.pattern.empty()) return any_text();
  auto schema = form.number_like ? any_text() : json::object{{"type", "string"}};
  schema["pattern"] = fmt::format("^({})$|{}", form.pattern, variable);
  return schema;
}

/// Codes and classes of them.
json::object status_schema() {
  return {{"type", {"integer", "string"}},
          {"minimum", 100},
          {"maximum", 599},
          {"pattern", fmt::format("^[1-5]([0-9][0-9]|xx)$|{}", variable)}};
}

json::object either(std::vector<json::object> schemas) {
  json::array all;
  for (auto& schema : schemas) all.push_back(std::move(schema));
  return {{"anyOf", std::move(all)}};
}

json::object list_of(json::object item, const bounds& length = {}) {
  json::object schema{{"type", "array"}, {"items", std::move(item)}};
  if (length.min) schema["minItems"] = *length.min;
  if (length.max) schema["maxItems"] = *length.max;
  return schema;
}

/// `NAME: value`
json::object map_of(json::object value, const bounds& size = {}) {
  json::object schema{{"type", "object"}, {"additionalProperties", std::move(value)}};
  if (size.min) schema["minProperties"] = *size.min;
  if (size.max) schema["maxProperties"] = *size.max;
  return schema;
}

const scalar_form* find_scalar(std::string_view type, bool plural) {
  for (const auto& form : scalar_forms) {
    if ((plural ? form.plural : form.type) == type) return &form;
  }
  return nullptr;
}

/// Of one scalar; empty when `type` is none.
json::object scalar_schema(std::string_view type, std::string_view range) {
  if (type == "integer") return integer_between(bounds_of(range));
  if (type == "boolean") {
    return {{"type", {"boolean", "string"}}, {"pattern", fmt::format("^(true|false)$|{}", variable)}};
  }
  if (type == "word") return one_of_words(words_of(range));
  const auto* form = find_scalar(type, false);
  return form == nullptr ? json::object{} : text_like(*form);
}

/// Items of "list of words" and "list": words of the range, and numbers when it ends with some.
json::object item_of_words(std::string_view range) {
  const auto words = words_of(range);
  if (words.empty()) return any_text();
  auto schema = one_of_words(words);
  const auto numbers = bounds_of(range.substr(range.rfind(' ') + 1));
  if (numbers.max) schema["anyOf"].as_array().push_back(integer_between(numbers));
  return schema;
}

json::object list_schema(std::string_view items, std::string_view range, const json::value& below) {
  if (items == "maps") return list_of(below.as_object(), bounds_of(range));
  if (items == "words") return list_of(item_of_words(range));
  const auto* form = find_scalar(items, true);
  return form == nullptr ? json::object{} : list_of(text_like(*form), bounds_of(range));
}

/// Forms that are none of the general ones.
json::object special_schema(std::string_view type, std::string_view range, const json::value& below) {
  const auto text = [] { return any_text(); };
  if (type == "list") return either({item_of_words(range), list_of(item_of_words(range))});
  if (type == "map") return below.as_object();
  if (type == "map of names") {
    auto schema = below.as_object();
    const auto size = bounds_of(range);
    schema["minProperties"] = size.min.value_or(0);
    if (size.max) schema["maxProperties"] = *size.max;
    return schema;
  }
  if (type == "map or list of maps")
    return either({below.as_object(), list_of(below.as_object(), bounds_of(range))});
  if (type == "address or map") return either({scalar_schema("address", ""), below.as_object()});
  if (type == "address, or list of addresses or {name, address}") {
    return either({scalar_schema("address", ""),
                   list_of(either({scalar_schema("address", ""), below.as_object()}), bounds_of(range))});
  }
  if (type == "code, class like `4xx`, or list")
    return either({status_schema(), list_of(status_schema(), {1, 64})});
  if (type == "map NAME: value or list") return map_of(either({text(), list_of(text(), {1, std::nullopt})}));
  if (type == "integer, or map of route: integer")
    return either({integer_between({0, std::nullopt}), map_of(integer_between({0, std::nullopt}))});
  return {};
}

/// "X", "X or list", "X or `word`", "list of Xs", or a special one.
json::object schema_of(std::string_view type, std::string_view range, const json::value& below) {
  if (auto special = special_schema(type, range, below); !special.empty()) return special;
  if (auto scalar = scalar_schema(type, range); !scalar.empty()) return scalar;
  constexpr std::string_view list = "list of ";
  if (type.starts_with(list)) return list_schema(type.substr(list.size()), range, below);
  const auto choice = type.find(" or ");
  if (choice == std::string_view::npos) return {};
  const auto first = scalar_schema(type.substr(0, choice), range);
  const auto second = type.substr(choice + 4);
  if (first.empty()) return {};
  if (second == "list")
    return either({first, list_of(first, type.starts_with("integer") ? bounds{} : bounds_of(range))});
  const auto words = words_of(second);
  return words.empty() ? json::object{} : either({first, one_of_words(words)});
}

bool is_written_as(std::string_view type, std::string_view text) {
  if (type.starts_with("integer")) return parse_integer(text).value.has_value();
  if (type.starts_with("boolean")) return parse_boolean(text).value.has_value();
  if (type.starts_with("duration")) return parse_duration(text).value.has_value();
  if (type.starts_with("SIZE/second")) return parse_byte_rate(text).value.has_value();
  if (type.starts_with("size")) return parse_size(text).value.has_value();
  return type.starts_with("percent") && parse_percent(text).value.has_value();
}

std::optional<json::value> scalar_default(std::string_view type, std::string_view range,
                                          std::string_view text) {
  if (is_written_as(type, text)) {
    if (type.starts_with("integer")) return *parse_integer(text).value;
    if (type.starts_with("boolean")) return *parse_boolean(text).value;
    return json::value(text);
  }
  for (const auto source : {type, range}) {
    for (const auto word : words_of(source)) {
      if (word == text) return json::value(text);
    }
  }
  return std::nullopt;
}

/// "[connect_error, 502]"; lists of maps are no default that an editor could insert.
std::optional<json::value> list_default(std::string_view text) {
  if (text.find('{') != std::string_view::npos) return std::nullopt;
  json::array items;
  text = text.substr(1, text.size() - 2);
  while (!text.empty()) {
    const auto item = text.substr(0, text.find(", "));
    const auto number = parse_integer(item).value;
    items.push_back(number ? json::value(*number) : json::value(item));
    text.remove_prefix(std::min(text.size(), item.size() + 2));
  }
  return items;
}

}  // namespace

json::object value_schema(const key_doc& key, const json::value& below) {
  auto schema = schema_of(key.type, key.range, below);
  if (schema.empty()) {
    throw std::logic_error(
        fmt::format("{}: no schema is known for values of the form \"{}\"; add it to value_forms.cpp",
                    key.path, key.type));
  }
  return schema;
}

std::optional<json::value> default_value(const key_doc& key) {
  const std::string_view text = key.default_text;
  if (text.starts_with('[') && text.ends_with(']')) return list_default(text);
  return scalar_default(key.type, key.range, text);
}

}  // namespace weir::config
