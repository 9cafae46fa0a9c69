// SPDX-License-Identifier: Apache-2.0
// Decodes a copy of a gzip body (RFC 1952) piece by piece, for reading only. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

struct z_stream_s;

namespace weir::proxy::settle {

class gunzip {
 public:
  /// Receives decoded bytes; false: enough.
  using sink = std::function<bool(std::string_view)>;

  gunzip();
  ~gunzip();
  gunzip(const gunzip&) = delete;
  gunzip& operator=(const gunzip&) = delete;

  /// False: malformed, or `take` had enough. Nothing more should be fed then. Output comes in pieces of at
  /// most 16 KiB, so that a bomb costs no memory.
  [[nodiscard]] bool feed(std::string_view bytes, const sink& take);
  /// Every member has reached its end.
  [[nodiscard]] bool complete() const noexcept { return between_members_; }

 private:
  std::unique_ptr<z_stream_s> stream_;
  bool usable_ = false;
  bool between_members_ = true;  // of a concatenation; false at first use
};

}  // namespace weir::proxy::settle
