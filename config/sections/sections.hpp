// SPDX-License-Identifier: Apache-2.0
// The tables of the policy file, one file per section. A new key is one row in one of them.
#pragma once

#include "config/draft.hpp"
#include "config/table.hpp"

namespace weir::config {

/// The top level of a policy file; every other table hangs below it.
[[nodiscard]] const table<file_draft>& file_table();

// Rows of the top level, by section.
[[nodiscard]] std::vector<key_row<file_draft>>
server_rows();  // version listen admin workers drain via hash_key_file
[[nodiscard]] std::vector<key_row<file_draft>> identity_rows();     // client_ip identity
[[nodiscard]] std::vector<key_row<file_draft>> upstream_rows();     // upstreams
[[nodiscard]] std::vector<key_row<file_draft>> route_rows();        // routes
[[nodiscard]] std::vector<key_row<file_draft>> rule_rows();         // rules
[[nodiscard]] std::vector<key_row<file_draft>> list_rows();         // block exempt
[[nodiscard]] std::vector<key_row<file_draft>> http_rows();         // paths http forwarded
[[nodiscard]] std::vector<key_row<file_draft>> concurrency_rows();  // concurrency
[[nodiscard]] std::vector<key_row<file_draft>> response_rows();     // deny
[[nodiscard]] std::vector<key_row<file_draft>> log_rows();          // access_log log metrics
[[nodiscard]] std::vector<key_row<file_draft>> test_rows();         // tests

[[nodiscard]] key_row<file_draft> listen_row();
[[nodiscard]] const table<proxy::limit_settings>& limits_table();
[[nodiscard]] const table<store_draft>& store_table();
[[nodiscard]] const table<match_draft>& route_match_table();
[[nodiscard]] const table<match_draft>& rule_match_table();

/// A lower-case field name; E0213.
[[nodiscard]] std::optional<std::string> read_field_name(const node& n, context& ctx);

/// Emitters of rate-limit fields; E0405. Nothing when it is no list.
[[nodiscard]] std::optional<http::emitter_list> read_emitters(const node& n, context& ctx);

/// Their names, for the reference.
[[nodiscard]] std::string emitter_choices();

/// A list of emitters.
template <class T, class List>
value_type<T> emitters(List T::*member) {
  return {"list of words", emitter_choices(), [=](T& out, const node& n, context& ctx) {
            if (auto chosen = read_emitters(n, ctx)) out.*member = std::move(*chosen);
          }};
}

/// A network without host bits; E0212.
[[nodiscard]] std::optional<identity::cidr> read_network(const node& n, context& ctx);

/// What `parse_selector` accepts; E0214.
[[nodiscard]] std::optional<limiter::selector> read_selector(const node& n, context& ctx);

/// A list of 1 to 8 selectors.
void read_selectors(std::vector<limiter::selector>& out, const node& n, context& ctx);

}  // namespace weir::config
