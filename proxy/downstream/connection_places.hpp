// SPDX-License-Identifier: Apache-2.0
// Which client connections the process has room for: in total, and of one address group.
#pragma once

#include "proxy/settings.hpp"

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>

namespace weir::proxy {

/// Counts the client connections of all workers, so that the kernel's way of spreading them over workers
/// changes no limit. Asked once per connection, never per request. Thread-safe; outlives every place it gave.
class connection_places {
 public:
  /// `total` > 0.
  explicit connection_places(std::uint32_t total) noexcept : total_(total) {}
  connection_places(const connection_places&) = delete;
  connection_places& operator=(const connection_places&) = delete;

  /// One connection's place; given back when it is destroyed.
  class place {
   public:
    place() = default;
    place(place&& other) noexcept
        : owner_(std::exchange(other.owner_, nullptr)), group_(std::exchange(other.group_, nullptr)) {}
    place& operator=(place&& other) noexcept {
      std::swap(owner_, other.owner_);
      std::swap(group_, other.group_);
      return *this;
    }
    ~place() {
      if (owner_ != nullptr) owner_->give_back(group_);
    }
    [[nodiscard]] bool taken() const noexcept { return owner_ != nullptr; }

   private:
    friend class connection_places;
    using counted = std::pair<const std::string, std::uint32_t>;
    place(connection_places& owner, counted* group) noexcept : owner_(&owner), group_(group) {}
    connection_places* owner_ = nullptr;
    counted* group_ = nullptr;  // null: counted in total only
  };

  enum class refusal : std::uint8_t { none, total, address };
  struct answer {
    place taken;
    refusal why = refusal::none;
  };

  /// A place for a connection of `group` (text of identity::append_group), of which at most `per_group` may
  /// be open; an empty group counts in total only: unix peers and trusted proxies.
  [[nodiscard]] answer take(const std::string& group, std::uint32_t per_group);

  [[nodiscard]] std::uint32_t open() const noexcept { return open_.load(std::memory_order_relaxed); }

 private:
  void give_back(place::counted* group) noexcept;

  const std::uint32_t total_;
  std::atomic<std::uint32_t> open_{0};
  std::mutex mutex_;
  std::unordered_map<std::string, std::uint32_t> groups_;  // at most one entry per open connection
};

}  // namespace weir::proxy
