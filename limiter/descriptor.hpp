// SPDX-License-Identifier: Apache-2.0
// Selector values -> subject: the name of one store key.
#pragma once

#include "limiter/selectors/selector.hpp"

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <tuple>

namespace weir::limiter {

/// First 16 bytes of SHA-256 of the subject encoding, base64url: 22 characters. Names the subject in the
/// store; holds no raw value.
struct subject_key {
  std::array<char, 22> text{};
  [[nodiscard]] std::string_view view() const noexcept { return {text.data(), text.size()}; }
  friend bool operator==(const subject_key& a, const subject_key& b) noexcept {
    const auto differ =
        [&](std::size_t at) {  // 8 bytes at once; no call of memcmp, which costs as much as all of it
          std::uint64_t x = 0;
          std::uint64_t y = 0;
          std::memcpy(&x, &a.text[at], sizeof x);
          std::memcpy(&y, &b.text[at], sizeof y);
          return x ^ y;
        };
    return (differ(0) | differ(8) | differ(std::tuple_size_v<decltype(text)> - 8)) == 0;
  }
};

/// Appends decimal length ':' text, of which descriptors are made.
void append_counted(std::string& encoding, std::string_view text);

/// Appends one entry of a descriptor to its injective encoding: decimal length ':' selector text, decimal
/// length ':' value. Any byte is allowed in a value; nothing is cut; two different lists never encode alike.
void append_descriptor_entry(std::string& encoding, std::string_view selector_text, std::string_view value);

/// Hash of a complete encoding.
[[nodiscard]] subject_key hash_subject(std::string_view encoding) noexcept;

/// Makes what describe() remembers on this thread. The first use notes that it is freed with the thread, for
/// which libc ends the process when there is no memory: a thread that shall survive that calls this as it
/// starts.
void prepare_describing();

/// Encodes and hashes `key` for this request into `subject`; false when a selector has no value. `scratch` is
/// reused between calls to avoid allocation.
[[nodiscard]] bool describe(std::span<const selector> key, const request_attributes& request,
                            std::string& scratch, subject_key& subject);

/// What a person reads as the name of the subject in the store: `selector=value,selector=value`. Letters,
/// digits and `._:-` stand for themselves, any other byte is %XX, so that two descriptors never read alike,
/// nor like a hash, which has no '='. Null when that takes more than `longest_readable_name` bytes or a
/// selector has no value: then the hash names the subject.
inline constexpr std::size_t longest_readable_name = 64;
[[nodiscard]] std::shared_ptr<const std::string> readable_name(std::span<const selector> key,
                                                               const request_attributes& request);

}  // namespace weir::limiter
