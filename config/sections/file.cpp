// SPDX-License-Identifier: Apache-2.0
// The top level: which sections there are, in the order of the reference.
#include "config/sections/sections.hpp"

#include <iterator>

namespace weir::config {
namespace {

void append(std::vector<key_row<file_draft>>& all, std::vector<key_row<file_draft>> rows) {
  all.insert(all.end(), std::make_move_iterator(rows.begin()), std::make_move_iterator(rows.end()));
}

table<file_draft> make_table() {
  table<file_draft> t{"the file", {}};
  append(t.rows, server_rows());
  t.rows.push_back(group<file_draft, proxy::limit_settings>(
      "limits", [](file_draft & d) -> auto& { return d.settings.limits; }, limits_table));
  t.rows.push_back(group<file_draft, store_draft>(
      "store", [](file_draft & d) -> auto& { return d.store; }, store_table));
  append(t.rows, http_rows());
  append(t.rows, identity_rows());
  append(t.rows, upstream_rows());
  append(t.rows, route_rows());
  append(t.rows, list_rows());
  append(t.rows, rule_rows());
  append(t.rows, concurrency_rows());
  append(t.rows, response_rows());
  append(t.rows, log_rows());
  append(t.rows, test_rows());
  return t;
}

}  // namespace

const table<file_draft>& file_table() {
  static const auto all = make_table();
  return all;
}

}  // namespace weir::config
