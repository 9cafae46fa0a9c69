// SPDX-License-Identifier: Apache-2.0
#include "limiter/descriptor.hpp"

#include "limiter/decimal.hpp"
#include "limiter/request_attributes.hpp"
#include "limiter/sha256.hpp"
#include "limiter/subject_cache.hpp"

#include <algorithm>
#include <array>

namespace weir::limiter {
namespace {

constexpr std::size_t count_room = longest_decimal + 1;  // digits and colon

bool stands_for_itself(unsigned char byte) noexcept {
  return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
         byte == '.' || byte == '_' || byte == ':' || byte == '-';
}

/// Stops after the first byte too many: values may be long.
void append_escaped(std::string& name, std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  for (const char c : text) {
    if (name.size() > longest_readable_name) return;
    const auto byte = static_cast<unsigned char>(c);
    if (stands_for_itself(byte)) {
      name.push_back(c);
    } else {
      name.append({'%', digits[byte >> 4], digits[byte & 15]});
    }
  }
}

/// A pure function, remembered.
subject_cache& known_subjects() {
  static thread_local subject_cache known;
  return known;
}

constexpr std::size_t short_entry = 128;

/// A selector and its value. Most are short, and appended at once.
void append_entry(std::string& encoding, std::string_view counted_text, std::string_view value) {
  if (counted_text.size() + count_room + value.size() > short_entry) {
    encoding.append(counted_text);
    return append_counted(encoding, value);
  }
  std::array<char, short_entry> entry;
  char* end = std::copy(counted_text.begin(), counted_text.end(), entry.data());
  end = put_decimal(end, value.size());
  *end++ = ':';
  end = std::copy(value.begin(), value.end(), end);
  encoding.append(entry.data(), static_cast<std::size_t>(end - entry.data()));
}

}  // namespace

void append_counted(std::string& encoding, std::string_view text) {
  std::array<char, count_room> count;
  char* end = put_decimal(count.data(), text.size());
  *end++ = ':';
  encoding.append(count.data(), static_cast<std::size_t>(end - count.data())).append(text);
}

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

void prepare_describing() {
  (void)known_subjects();
}

bool describe(std::span<const selector> key, const request_attributes& request, std::string& scratch,
              subject_key& subject) {
  scratch.clear();
  std::string decoded;  // used only by values that are percent-encoded in the request
  for (const selector& s : key) {
    const auto value = select(s, request, decoded);
    if (!value) return false;
    append_entry(scratch, s.counted_text, *value);
  }
  subject = known_subjects().find(scratch);
  return true;
}

std::shared_ptr<const std::string> readable_name(std::span<const selector> key,
                                                 const request_attributes& request) {
  auto name = std::make_shared<std::string>();
  std::string decoded;
  for (const selector& s : key) {
    const auto value = select(s, request, decoded);
    if (!value) return nullptr;
    if (!name->empty()) name->push_back(',');
    append_escaped(*name, s.text);
    name->push_back('=');
    append_escaped(*name, *value);
  }
  if (name->empty() || name->size() > longest_readable_name) return nullptr;
  return name;
}

}  // namespace weir::limiter
