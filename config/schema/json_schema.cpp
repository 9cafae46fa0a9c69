// SPDX-License-Identifier: Apache-2.0
#include "config/schema/json_schema.hpp"

#include "config/key_tree.hpp"
#include "config/schema/json_text.hpp"
#include "config/schema/value_forms.hpp"

#include <fmt/format.h>

namespace weir::config {
namespace {

namespace json = boost::json;

json::object map_schema(const key_node& node);

std::string description_of(const key_doc& doc) {
  std::string text;
  const auto add = [&text](std::string_view sentence) {
    if (sentence.empty()) return;
    text += text.empty() ? "" : "; ";
    text += sentence;
  };
  add(doc.type);
  add(doc.range);
  add(doc.meaning);
  if (!doc.default_text.empty() && doc.default_text != required)
    add(fmt::format("default: {}", doc.default_text));
  return text;
}

/// `not` takes the keys beside it but itself.
json::object inverted_match(const key_node& match) {
  auto others = match;
  std::erase_if(others.children, [](const auto& child) { return child.name == "not"; });
  return map_schema(others);
}

json::object key_schema(const key_node& node, const key_node& parent) {
  const json::value below = node.children.empty() ? json::value{} : json::value(map_schema(node));
  if (!node.doc) return below.as_object();
  json::object schema{{"title", node.doc->path}, {"description", description_of(*node.doc)}};
  if (auto value = default_value(*node.doc)) schema["default"] = std::move(*value);
  const auto form =
      node.doc->type == "map of the keys above" ? inverted_match(parent) : value_schema(*node.doc, below);
  for (const auto& [name, value] : form) schema[name] = value;
  return schema;
}

json::object free_names(const key_node& node) {
  const auto& any = node.children.front();
  return {{"type", "object"},
          {"patternProperties", json::object{{"^[a-z][a-z0-9-]{0,63}$", key_schema(any, node)}}},
          {"additionalProperties", false}};
}

json::object map_schema(const key_node& node) {
  if (node.has_free_names()) return free_names(node);
  json::object properties;
  json::array needed;
  for (const auto& child : node.children) {
    properties[child.name] = key_schema(child, node);
    if (child.doc && child.doc->default_text == required) needed.emplace_back(child.name);
  }
  json::object schema{{"type", "object"}, {"properties", std::move(properties)}};
  if (!needed.empty()) schema["required"] = std::move(needed);
  schema["additionalProperties"] = false;
  return schema;
}

}  // namespace

json::object json_schema() {
  json::object schema{
      {"$schema", "http://json-schema.org/draft-07/schema#"},
      {"title", "weir policy, version 1"},
      {"description", "`x-` keys are the user's own: notes, and anchors for values used twice"}};
  for (auto& [name, value] : map_schema(key_tree())) schema[name] = std::move(value);
  schema["patternProperties"] = json::object{{"^x-", json::object{}}};
  return schema;
}

std::string json_schema_text() {
  return indented_json(json_schema()) + "\n";
}

}  // namespace weir::config
