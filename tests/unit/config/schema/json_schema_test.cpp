// SPDX-License-Identifier: Apache-2.0
#include "config/schema/json_schema.hpp"

#include "config/key_reference.hpp"
#include "config/schema/value_forms.hpp"

#include <doctest/doctest.h>
#include <fstream>
#include <iterator>
#include <set>

using namespace weir::config;
namespace json = boost::json;

namespace {

std::string committed_schema() {
  std::ifstream file{std::string{WEIR_SOURCE_DIR} + "/config/weir.v1.schema.json"};
  return {std::istreambuf_iterator<char>{file}, std::istreambuf_iterator<char>{}};
}

key_doc key(std::string type, std::string range, std::string default_text = {}) {
  return {"k", std::move(type), std::move(default_text), std::move(range), {}};
}

/// Every "title" below `value`: the path of the key it describes.
void collect_titles(const json::value& value, std::multiset<std::string>& out) {
  if (const auto* list = value.if_array()) {
    for (const auto& item : *list) collect_titles(item, out);
  }
  if (const auto* map = value.if_object()) {
    for (const auto& [name, member] : *map) {
      if (name == "title" && member.is_string()) out.emplace(member.get_string());
      collect_titles(member, out);
    }
  }
}

}  // namespace

TEST_CASE("the committed schema is what the tables say; `weir schema` prints the wanted text") {
  CHECK(committed_schema() == json_schema_text());
}

TEST_CASE("every key is in the schema") {
  std::multiset<std::string> titles;
  collect_titles(json_schema(), titles);
  for (const auto& k : all_keys()) {
    CAPTURE(k.path);
    CHECK(titles.contains(k.path));
  }
}

TEST_CASE("a form that nobody described is refused, with the key that has it") {
  CHECK_THROWS_WITH_AS((void)value_schema(key("frobnication", ""), {}), doctest::Contains("k: no schema"),
                       std::logic_error);
}

TEST_CASE("ranges become bounds") {
  CHECK(value_schema(key("integer", "1–64"), {}).at("maximum") == 64);
  CHECK(value_schema(key("integer", "0–capacity"), {}).at("minimum") == 0);
  CHECK_FALSE(value_schema(key("integer", "0–capacity"), {}).contains("maximum"));
  CHECK_FALSE(value_schema(key("integer", "429 or 503"), {}).contains("minimum"));
  CHECK(value_schema(key("list of networks", "up to 8"), {}).at("maxItems") == 8);
}

TEST_CASE("a default is a value of its type, or none at all") {
  CHECK(default_value(key("integer", "1–64", "16")) == json::value(16));
  CHECK(default_value(key("boolean", "", "true")) == json::value(true));
  CHECK(default_value(key("integer or `auto`", "1–64", "auto")) == json::value("auto"));
  CHECK(default_value(key("word", "`a` `b`", "b")) == json::value("b"));
  CHECK(default_value(key("list", "`v1` `v2`", "[v1, 502]")) == json::value(json::array{"v1", 502}));
  CHECK_FALSE(default_value(key("name", "", "the address")));
  CHECK_FALSE(default_value(key("list of maps", "", "[{constant: default}]")));
}
