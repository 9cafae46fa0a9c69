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

int percentile_of(const rule_id& rid, std::string_view subject) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a, then the finalizer of splitmix64
  const auto mix = [&hash](std::string_view text) {
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  };
  mix(rid.text());
  mix(subject);
  hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9u;
  hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebu;
  return static_cast<int>(((hash >> 32) * 100) >> 32);
}

}  // namespace weir::limiter
