// SPDX-License-Identifier: Apache-2.0
#include "limiter/descriptor.hpp"

#include "limiter/request_attributes.hpp"
#include "limiter/sha256.hpp"

#include <charconv>

namespace weir::limiter {
namespace {

void append_counted(std::string& encoding, std::string_view text) {
  std::array<char, 20> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), text.size()).ptr;
  encoding.append(digits.data(), end);
  encoding.push_back(':');
  encoding.append(text);
}

}  // namespace

void append_descriptor_entry(std::string& encoding, std::string_view selector_text, std::string_view value) {
  append_counted(encoding, selector_text);
  append_counted(encoding, value);
}

subject_key hash_subject(std::string_view encoding) noexcept {
  const sha256_digest digest = sha256(encoding);
  subject_key subject;
  encode_base64url(std::span(digest).first<16>(), subject.text);
  return subject;
}

bool describe(std::span<const selector> key, const request_attributes& request, std::string& scratch,
              subject_key& subject) {
  scratch.clear();
  std::string decoded;  // used only by values that are percent-encoded in the request
  for (const selector& s : key) {
    const auto value = select(s, request, decoded);
    if (!value) return false;
    append_descriptor_entry(scratch, s.text, *value);
  }
  subject = hash_subject(scratch);
  return true;
}

}  // namespace weir::limiter
