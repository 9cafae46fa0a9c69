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

namespace weir::limiter {

/// First 16 bytes of SHA-256 of the subject encoding, base64url: 22 characters. Names the subject in the
/// store; holds no raw value.
struct subject_key {
  std::array<char, 22> text{};
  [[nodiscard]] std::string_view view() const noexcept { return {text.data(), text.size()}; }
  /// All of the text in three words. Each lies within one of the two stores of a copy (16 bytes, and the last
  /// 8): a word of both would wait until they, and whatever was stored before, have reached the cache.
  [[nodiscard]] std::array<std::uint64_t, 3> words() const noexcept {
    std::array<std::uint64_t, 3> all{};
    std::memcpy(&all[0], &text[0], 8);
    std::memcpy(&all[1], &text[6], 8);
    std::memcpy(&all[2], &text[14], 8);
    return all;
  }
  /// No call of memcmp, which costs as much as all of it.
  friend bool operator==(const subject_key& a, const subject_key& b) noexcept {
    const auto x = a.words();
    const auto y = b.words();
    return ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2])) == 0;
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
