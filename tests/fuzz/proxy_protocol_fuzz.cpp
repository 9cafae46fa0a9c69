// SPDX-License-Identifier: Apache-2.0
// What is asserted: a header means the same however it arrives and whatever follows it, and never exceeds its
// bounds.
#include "proxy/identity/proxy_protocol.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

using namespace weir::identity;

namespace {

void demand(bool holds) {
  if (!holds) std::abort();
}

bool same(const proxy_header& a, const proxy_header& b) {
  return a.status == b.status && a.size == b.size && a.source == b.source;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const proxy_header whole = parse_proxy_header(bytes, true, true);
  if (whole.status == proxy_header_status::complete) {
    demand(whole.size > 0 && whole.size <= size && whole.size <= proxy_header_size_max);
    const std::string_view header = bytes.substr(0, whole.size);
    demand(same(parse_proxy_header(header, true, true), whole));
    demand(same(parse_proxy_header(std::string(header) + "GET / HTTP/1.1\r\n", true, true), whole));
    for (std::size_t i = 0; i < whole.size; ++i)
      demand(parse_proxy_header(header.substr(0, i), true, true).status == proxy_header_status::need_more);
    const bool first = header.starts_with('P');
    demand(same(parse_proxy_header(bytes, first, !first), whole));
    demand(parse_proxy_header(bytes, !first, first).status == proxy_header_status::refused);
  }
  if (whole.status == proxy_header_status::need_more) demand(size < proxy_header_size_max);
  if (whole.status == proxy_header_status::refused)
    demand(parse_proxy_header(std::string(bytes) + "x", true, true).status == proxy_header_status::refused);
  return 0;
}
