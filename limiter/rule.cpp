// SPDX-License-Identifier: Apache-2.0
#include "limiter/rule.hpp"

#include "limiter/sha256.hpp"

namespace weir::limiter {

rule_id make_rule_id(std::string_view rule_name) noexcept {
  const sha256_digest digest = sha256(rule_name);
  rule_id rid;
  encode_base64url(std::span(digest).first<3>(), rid.id);
  const std::uint32_t head = std::uint32_t{digest[0]} << 24 | std::uint32_t{digest[1]} << 16 |
                             std::uint32_t{digest[2]} << 8 | std::uint32_t{digest[3]};
  std::uint32_t number = head % 1000;
  for (std::size_t i = rid.digits.size(); i-- > 0; number /= 10) {
    rid.digits[i] = static_cast<char>('0' + number % 10);
  }
  return rid;
}

}  // namespace weir::limiter
