// SPDX-License-Identifier: Apache-2.0
#include "proxy/downstream/request_id.hpp"

#include "proxy/hex.hpp"
#include "proxy/http/rewrite.hpp"

#include <array>

namespace weir::proxy {

void append_random_id(std::string& out, random_source& random) {
  const std::uint64_t first = random.next();
  const std::array<char, 32> digits = hex_digits(first, random.next());
  out.append(digits.data(), digits.size());
}

void find_request_id(active_request& request, std::string_view buffer, random_source& random) {
  const std::string_view sent = http::sent_request_id(request.head, buffer);
  if (!sent.empty()) return void(request.request_id.assign(sent));
  request.request_id.clear();
  append_random_id(request.request_id, random);
}

}  // namespace weir::proxy
