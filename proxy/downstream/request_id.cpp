// SPDX-License-Identifier: Apache-2.0
#include "proxy/downstream/request_id.hpp"

#include "proxy/http/rewrite.hpp"

#include <array>

namespace weir::proxy {

void append_random_id(std::string& out, random_source& random) {
  constexpr std::string_view hex = "0123456789abcdef";
  std::array<char, 32> text;
  for (std::size_t word = 0; word < 2; ++word) {
    std::uint64_t bits = random.next();
    for (std::size_t i = 0; i < 16; ++i, bits >>= 4) text[word * 16 + i] = hex[bits & 15];
  }
  out.append(text.data(), text.size());
}

void find_request_id(active_request& request, std::string_view buffer, random_source& random) {
  request.request_id = http::sent_request_id(request.head, buffer);
  if (request.request_id.empty()) append_random_id(request.request_id, random);
}

}  // namespace weir::proxy
