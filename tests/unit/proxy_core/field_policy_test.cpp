// SPDX-License-Identifier: Apache-2.0
#include "proxy/http/field_policy.hpp"

#include <doctest/doctest.h>
#include <initializer_list>
#include <string>

using namespace weir::http;

namespace {

/// Scans a head with these lines, applies `change`, and tells the names that are left.
template <class Change>
std::string left(const std::string& lines, Change change) {
  const std::string buffer = "GET / HTTP/1.1\r\nHost: a\r\n" + lines + "\r\n";
  request_head head;
  head.begin({});
  REQUIRE(head.scan(buffer) == scan_status::complete);
  change(head, buffer);
  std::string names;
  for (std::size_t i = 1; i < head.field_count; ++i) {
    if (!head.fields[i].dropped) names.append(head.name(head.fields[i], buffer)).append(" ");
  }
  return names;
}

field_names listed(std::initializer_list<const char*> names) {
  field_names list;
  for (const char* name : names) list.add(name);
  return list;
}

std::string kept(const std::string& lines) {
  return left(lines, [](request_head& head, const std::string& buffer) {
    keep_underscore_names(head, buffer, listed({"x-api-key", "true-client-ip"}));
  });
}

}  // namespace

TEST_CASE("names with an underscore are kept on demand, aliases of used names never") {
  CHECK(kept("My_Header: 1\r\nA-b: 2\r\n") == "My_Header A-b ");
  for (const char* alias :
       {"X_API_Key", "x-api_key", "X_Forwarded_For", "X_Forwarded-Anything", "Content_Length",
        "Transfer_Encoding", "True_Client_IP", "X_Real_IP", "X_Request_ID", "Forwarded_", "Authorization_"}) {
    CAPTURE(alias);
    const bool is_alias = std::string_view(alias).back() != '_';  // `Forwarded-` is no name of ours
    CHECK(kept(std::string(alias) + ": 1\r\n").empty() == is_alias);
  }
  CHECK(kept(std::string(256, '_') + ": 1\r\n") == std::string(256, '_') + " ");
}

TEST_CASE("a name with an underscore is noticed") {
  bool found = true;
  const auto look = [&](request_head& head, const std::string& buffer) {
    found = has_underscore_name(head, buffer);
  };
  (void)left("A-b: c_d\r\n", look);
  CHECK_FALSE(found);
  (void)left("A-b: 1\r\nA_b: 1\r\n", look);
  CHECK(found);
}
