// SPDX-License-Identifier: Apache-2.0
#include "proxy/downstream/request_id.hpp"

#include "proxy/hex.hpp"
#include "proxy/http/rewrite.hpp"

#include <array>

namespace weir::proxy {

void append_random_id(std::string& out, random_source& random) {
  for (int word = 0; word < 2; ++word) {
    const std::array<char, 16> digits = hex_digits(random.next());
    out.append(digits.data(), digits.size());
  }
}

void find_request_id(active_request& request, std::string_view buffer, random_source& random) {
  std::string_view id;
  int lines = 0;
  for (std::size_t i = 0; i < request.head.field_count; ++i) {
    const http::field& field = request.head.fields[i];
    if (field.id != http::header_id::x_request_id || field.dropped) continue;
    id = request.head.value(field, buffer);
    ++lines;
  }
  request.request_id.clear();
  if (lines == 1 && http::is_sane_request_id(id)) {
    request.request_id = id;
  } else {
    append_random_id(request.request_id, random);
  }
}

}  // namespace weir::proxy
