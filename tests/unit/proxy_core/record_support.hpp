// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "proxy/observe/access_record.hpp"

#include <string_view>

namespace weir::proxy::test {

/// Every text of a record: `plain` where a plain_text is wanted, `text` elsewhere. Both outlive the record.
inline void set_texts(access_record& r, std::string_view text, std::string_view plain) {
  for (std::string_view access_record::*field :
       {&access_record::user_hash, &access_record::path, &access_record::query, &access_record::host,
        &access_record::listener, &access_record::upstream_addr, &access_record::reason,
        &access_record::exempt, &access_record::pod, &access_record::pod_namespace, &access_record::node}) {
    r.*field = text;
  }
  for (plain_text access_record::*field :
       {&access_record::request_id, &access_record::trace_id, &access_record::span_id,
        &access_record::client_ip, &access_record::peer_ip, &access_record::method, &access_record::proto,
        &access_record::route, &access_record::upstream, &access_record::rule, &access_record::key_hash}) {
    r.*field = plain_text(plain);
  }
}

}  // namespace weir::proxy::test
