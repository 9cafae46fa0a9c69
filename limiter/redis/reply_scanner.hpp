// SPDX-License-Identifier: Apache-2.0
// Reads replies of control connections: nested arrays that the guard of decisions would refuse, such as the
// map of a cluster. Bounded in bytes, depth and elements. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace weir::limiter::redis {

inline constexpr std::size_t max_map_bytes = std::size_t{1} << 20;
inline constexpr std::size_t max_map_depth = 4;
inline constexpr std::size_t max_map_elements = 65536;

/// One element; arrays are followed by their elements.
struct reply_token {
  enum class kind : std::uint8_t { nil, integer, text, error, array };
  kind type = kind::nil;
  std::int64_t number = 0;   ///< integer: value; array: elements
  std::uint32_t offset = 0;  ///< text, error: place in the bytes
  std::uint32_t size = 0;
};

/// A whole reply. `bytes` belong to whoever scanned them.
struct scanned_reply {
  std::string_view bytes;
  std::vector<reply_token> tokens;
  [[nodiscard]] std::string_view text(const reply_token& token) const noexcept {
    return bytes.substr(token.offset, token.size);
  }
};

/// Reads one reply from bytes that may grow between calls; what was seen is not looked at again.
class reply_scanner {
 public:
  enum class progress : std::uint8_t { incomplete, complete, violation };

  [[nodiscard]] progress scan(std::string_view bytes);
  /// After `complete`; bytes() is where it ends.
  [[nodiscard]] const scanned_reply& reply() const noexcept { return reply_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return seen_; }

 private:
  progress scan_element(std::string_view bytes);
  progress open_array(std::int64_t elements);
  progress take(reply_token token);

  scanned_reply reply_;
  std::size_t seen_ = 0;
  std::array<std::size_t, max_map_depth + 1> missing_{1};  // elements to come, by depth
  std::size_t depth_ = 0;
};

}  // namespace weir::limiter::redis
