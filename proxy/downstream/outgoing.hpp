// SPDX-License-Identifier: Apache-2.0
// Bytes on their way to one socket: a rewritten head, a slice of a body that stays where it was received, and
// a static tail, sent by one gather-write.
#pragma once

#include "proxy/runtime/stream_socket.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace weir::proxy {

class outgoing {
 public:
  std::string text;       ///< owned; keeps its capacity between messages
  std::string_view body;  ///< borrowed until everything is sent
  std::string_view tail;  ///< static storage

  [[nodiscard]] bool empty() const noexcept { return sent_ == text.size() + body.size() + tail.size(); }
  [[nodiscard]] std::size_t sent() const noexcept { return sent_; }
  [[nodiscard]] bool has_body() const noexcept { return !body.empty() || !tail.empty(); }

  /// Sends what it can; `ok` means everything is gone and the object is empty again.
  [[nodiscard]] io_status flush(stream_socket& socket) {
    while (!empty()) {
      if (!socket.writable()) return io_status::would_block;
      std::array<iovec, 3> parts;
      std::size_t count = 0;
      std::size_t skip = sent_;
      const auto add = [&](std::string_view part) {
        const std::size_t skipped = std::min(skip, part.size());
        skip -= skipped;
        if (skipped < part.size()) {
          parts[count++] = {const_cast<char*>(part.data()) + skipped, part.size() - skipped};
        }
      };
      add(text);
      if (has_body()) {
        add(body);
        add(tail);
      }
      const io_result result = socket.write(parts.data(), count);
      if (result.status != io_status::ok) return result.status;
      sent_ += result.bytes;
      total_ += result.bytes;
    }
    reset();
    return io_status::ok;
  }

  /// Forgets everything that was not sent.
  void reset() noexcept {
    text.clear();
    body = tail = {};
    sent_ = 0;
  }

  /// Bytes written since clear_total().
  [[nodiscard]] std::uint64_t total() const noexcept { return total_; }
  void clear_total() noexcept { total_ = 0; }

 private:
  std::size_t sent_ = 0;
  std::uint64_t total_ = 0;
};

}  // namespace weir::proxy
