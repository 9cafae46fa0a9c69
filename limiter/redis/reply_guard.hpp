// SPDX-License-Identifier: Apache-2.0
// Looks at reply bytes before hiredis does: hiredis trusts counts and lengths (`*100000000` stalls it for
// seconds,
// `$999999999999` buffers for ever, a wrong byte after a bulk goes unnoticed). Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace weir::limiter::redis {

inline constexpr std::size_t max_reply_bytes = 4096;       ///< one whole reply
inline constexpr std::size_t max_control_elements = 16;    ///< array reply to anything but a decision
inline constexpr std::size_t max_decision_elements = 192;  ///< of 20 bytes; above what 32 charges imply
inline constexpr std::size_t max_header_line =
    64;  ///< `*` and `$` lines, CRLF included; `:` lines are shorter
inline constexpr std::size_t max_text_line = 512;  ///< `+` and `-` lines, CRLF included

/// Measures one RESP2 reply at a time. Any violation is final: the connection has to be closed.
class reply_guard {
 public:
  enum class progress : std::uint8_t { incomplete, complete, violation };

  /// `bytes` begins with the first byte of the reply and may grow between calls; elements already seen are
  /// not looked at again. An array must have exactly `elements` elements; 0 = a control reply, up to
  /// max_control_elements.
  [[nodiscard]] progress scan(std::string_view bytes, std::size_t elements) noexcept;

  /// After `complete`: the length of the reply.
  [[nodiscard]] std::size_t reply_bytes() const noexcept { return seen_; }

  /// After `complete`: the next scan() begins a new reply.
  void next() noexcept {
    seen_ = 0;
    missing_ = 1;
    in_array_ = false;
  }

 private:
  progress scan_element(std::string_view bytes, std::size_t elements) noexcept;
  progress scan_integer(std::string_view rest) noexcept;
  progress scan_line(char type, std::string_view line, std::size_t elements) noexcept;
  progress scan_array_header(std::string_view digits, std::size_t elements) noexcept;
  progress scan_bulk_header(std::string_view digits) noexcept;
  progress scan_bulk_body(std::string_view bytes) noexcept;

  std::size_t seen_ = 0;     // bytes of this reply that are accounted for
  std::size_t missing_ = 1;  // elements to come; a header counts as one until it is replaced by its elements
  std::size_t bulk_ = 0;     // body + CRLF of the bulk whose header was seen; 0 = at a line
  bool in_array_ = false;
  bool violated_ = false;
};

}  // namespace weir::limiter::redis
