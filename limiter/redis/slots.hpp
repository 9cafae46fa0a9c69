// SPDX-License-Identifier: Apache-2.0
// Redis Cluster's map: key -> one of 16,384 slots -> node, and how a server says that a slot is elsewhere.
// Pure.
#pragma once

#include "limiter/redis/reply_scanner.hpp"
#include "limiter/redis/settings.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::limiter::redis {

inline constexpr std::size_t slot_count = 16384;
inline constexpr std::size_t max_cluster_nodes = 1024;

/// Slot of a key: CRC16 of what stands between the first `{` and the next `}`, or of the whole key when there
/// is nothing between them.
[[nodiscard]] std::uint16_t hash_slot(std::string_view key) noexcept;

/// `MOVED 3999 127.0.0.1:6381` or `ASK ...`.
struct redirection {
  bool ask = false;  ///< this call only; the slot stays where it is
  std::uint16_t slot = 0;
  redis_address to;  ///< host empty: the one that said so
};
/// `text` is an error reply without its '-'; nothing when it is no redirection or malformed.
[[nodiscard]] std::optional<redirection> parse_redirection(std::string_view text);

struct slot_range {
  std::uint16_t first = 0;
  std::uint16_t last = 0;  ///< inclusive
  redis_address master;    ///< host empty: the one that was asked
};
/// The reply to CLUSTER SLOTS; nothing when it has another shape, overlaps, or names too many nodes.
[[nodiscard]] std::optional<std::vector<slot_range>> parse_cluster_slots(const scanned_reply& reply);

/// Slot -> number of a node, as the owner counts nodes.
class slot_table {
 public:
  static constexpr std::uint16_t unknown = 0xffff;
  slot_table() { clear(); }
  void clear() noexcept { nodes_.fill(unknown); }
  void assign(std::uint16_t first, std::uint16_t last, std::uint16_t node) noexcept;
  [[nodiscard]] std::uint16_t node(std::uint16_t slot) const noexcept { return nodes_[slot]; }
  friend bool operator==(const slot_table&, const slot_table&) = default;

 private:
  std::array<std::uint16_t, slot_count> nodes_;
};

}  // namespace weir::limiter::redis
