// SPDX-License-Identifier: Apache-2.0
// What the targets for requests and responses share.
#pragma once

#include "proxy/http/head.hpp"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

namespace weir::fuzz {

inline void require(bool condition) {
  if (!condition) std::abort();
}

template <typename Head>
void require_same(const Head& a, const Head& b, std::string_view bytes) {
  require(a.refusal().status == b.refusal().status && a.refusal().message == b.refusal().message);
  if (a.refusal().status != 0) return;
  require(a.size() == b.size() && a.framing == b.framing && a.content_length == b.content_length);
  require(a.keep_alive == b.keep_alive && a.nominates == b.nominates && a.field_count == b.field_count);
  for (std::size_t i = 0; i < a.field_count; ++i) {
    const http::field& f = a.fields[i];
    const http::field& g = b.fields[i];
    require(a.name(f, bytes) == b.name(g, bytes) && a.value(f, bytes) == b.value(g, bytes));
    require(f.id == g.id && f.dropped == g.dropped);
    require(a.value(f, bytes).find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos);
  }
}

/// Feeds prefixes that grow by 1 to `step` bytes, each in a block of its own.
template <typename Head>
http::scan_status scan_in_pieces(Head& head, std::string_view bytes, std::size_t step) {
  http::scan_status status = http::scan_status::need_more;
  for (std::size_t n = 0; status == http::scan_status::need_more && n < bytes.size();) {
    n += 1 + (n * 7 + 3) % step;
    if (n > bytes.size()) n = bytes.size();
    const auto block = std::make_unique<char[]>(n);
    std::memcpy(block.get(), bytes.data(), n);
    status = head.scan({block.get(), n});
  }
  return status;
}

}  // namespace weir::fuzz
