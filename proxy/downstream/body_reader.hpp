// SPDX-License-Identifier: Apache-2.0
// Takes one message body out of received bytes, for requests and responses alike. No I/O.
#pragma once

#include "proxy/http/chunked.hpp"
#include "proxy/http/head.hpp"
#include "proxy/runtime/buffer_pool.hpp"

#include <cstdint>
#include <string_view>

namespace weir::proxy {

class body_reader {
 public:
  enum class status : std::uint8_t {
    data,        ///< `data` is non-empty; valid until the next call and until the buffer is written to
    need_input,  ///< the buffer holds nothing more of this body
    complete,    ///< the body has ended; what the buffer still holds belongs to the next message
    too_large,
    malformed,
  };
  struct slice {
    body_reader::status status;
    std::string_view data;
  };

  /// `length` for content_length only; `limit` bounds the decoded size.
  void begin(http::framing framing, std::uint64_t length, std::uint64_t limit) noexcept {
    framing_ = framing;
    left_ = framing == http::framing::content_length ? length : 0;
    limit_ = limit;
    received_ = 0;
    complete_ = framing == http::framing::none || (framing == http::framing::content_length && length == 0);
    if (framing == http::framing::chunked) decoder_.begin();
  }

  [[nodiscard]] slice next(io_buffer& in) noexcept;

  /// The sender closed: ends an until_close body; false: the body was cut short.
  [[nodiscard]] bool end_of_input() noexcept {
    if (framing_ == http::framing::until_close) complete_ = true;
    return complete_;
  }

  [[nodiscard]] bool complete() const noexcept { return complete_; }
  [[nodiscard]] std::uint64_t received() const noexcept { return received_; }
  [[nodiscard]] http::framing framing() const noexcept { return framing_; }
  /// Bytes still to come, as far as known; chunked and until_close: unknown (unlimited).
  [[nodiscard]] std::uint64_t left() const noexcept {
    if (complete_) return 0;
    return framing_ == http::framing::content_length ? left_ : ~std::uint64_t{0};
  }

 private:
  http::chunk_decoder decoder_;
  std::uint64_t left_ = 0;
  std::uint64_t limit_ = 0;
  std::uint64_t received_ = 0;
  http::framing framing_ = http::framing::none;
  bool complete_ = true;
};

}  // namespace weir::proxy
