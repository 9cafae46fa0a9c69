// SPDX-License-Identifier: Apache-2.0
// The chunked transfer coding (RFC 9112 7.1): a strict decoder that compacts data in place, and chunk headers
// for the encoder. Extensions are checked and dropped, trailers are checked and discarded.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace weir::http {

class chunk_decoder {
 public:
  enum class status : std::uint8_t {
    need_more,  ///< every byte given was consumed
    complete,   ///< the last chunk and its trailers are consumed; bytes after `consumed` belong to the next
                ///< message
    malformed,  ///< not chunked coding, or a limit of 1.32-1.34 was passed
  };
  struct result {
    chunk_decoder::status status;
    std::size_t consumed;  ///< bytes of the input used
    std::size_t produced;  ///< bytes of body data, moved to the front of the input range
  };

  /// Ready for the first chunk of a message.
  void begin() noexcept;

  /// Decodes `data[0, size)` in place: body bytes end up in data[0, produced). Any segmentation gives the
  /// same bytes.
  [[nodiscard]] result decode(char* data, std::size_t size) noexcept;

 private:
  // each takes a byte and answers the next state
  std::uint8_t step(char c) noexcept;
  std::uint8_t size_step(char c) noexcept;
  std::uint8_t size_line_step(char c) noexcept;
  std::uint8_t extension_step(char c) noexcept;
  std::uint8_t trailer_step(char c) noexcept;
  bool count_extension_byte() noexcept;

  std::uint64_t left_ = 0;
  std::uint32_t message_extension_bytes_ = 0;
  std::uint32_t chunk_extension_bytes_ = 0;
  std::uint32_t trailer_bytes_ = 0;
  std::uint16_t trailer_fields_ = 0;
  std::uint16_t name_size_ = 0;
  std::uint8_t digits_ = 0;
  std::uint8_t state_ = 0;
};

/// `<hex size>\r\n` of one chunk; size > 0.
struct chunk_header {
  explicit chunk_header(std::size_t size) noexcept;
  [[nodiscard]] std::string_view view() const noexcept { return {text_.data() + at_, capacity - at_}; }

 private:
  static constexpr std::size_t capacity = 16 + 2;  // hexadecimal digits, CRLF
  std::array<char, capacity> text_;
  std::size_t at_ = capacity;
};

inline constexpr std::string_view last_chunk = "0\r\n\r\n";

}  // namespace weir::http
