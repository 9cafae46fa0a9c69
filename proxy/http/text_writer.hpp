// SPDX-License-Identifier: Apache-2.0
// Appends many small pieces to a string: the string grows once, the pieces are copied behind a plain pointer.
#pragma once

#include "proxy/decimal.hpp"

#include <concepts>
#include <cstring>
#include <string>
#include <string_view>

namespace weir::http {

class text_writer {
 public:
  /// `expected`: bytes that are probably written; more are possible.
  text_writer(std::string& out, std::size_t expected) : out_(out), at_(out.size()) {
    out_.resize(at_ + expected);
  }
  ~text_writer() { out_.resize(at_); }
  text_writer(const text_writer&) = delete;
  text_writer& operator=(const text_writer&) = delete;

  // Inlined by force: most parts are literals, whose copy is then a store or two.
  template <typename... Parts>
  [[gnu::always_inline]] void put(const Parts&... parts) {
    copy(std::string_view(parts)...);
  }
  /// As `put`, and ends the line.
  template <typename... Parts>
  [[gnu::always_inline]] void line(const Parts&... parts) {
    copy(std::string_view(parts)..., std::string_view("\r\n", 2));
  }
  template <std::integral Number>
  void put_number(Number n) {
    reserve(proxy::longest_decimal);
    at_ = static_cast<std::size_t>(proxy::put_decimal(out_.data() + at_, n) - out_.data());
  }

 private:
  void reserve(std::size_t size) {
    if (out_.size() - at_ < size) [[unlikely]] {
      out_.resize(2 * out_.size() + size);
    }
  }
  template <typename... Views>
  [[gnu::always_inline]] void copy(Views... views) {
    const std::size_t size = (views.size() + ...);
    reserve(size);
    char* to = out_.data() + at_;
    const auto copy_one = [&to](std::string_view s) {
      if (!s.empty()) std::memcpy(to, s.data(), s.size());
      to += s.size();
    };
    (copy_one(views), ...);
    at_ += size;
  }

  std::string& out_;
  std::size_t at_;
};

}  // namespace weir::http
