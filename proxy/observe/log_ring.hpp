// SPDX-License-Identifier: Apache-2.0
// A bounded single-producer single-consumer byte ring: a worker appends whole log lines, the writer thread
// takes batches. Never blocks; a line that does not fit is dropped and counted exactly.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace weir::proxy {

class log_ring {
 public:
  /// `capacity` in bytes, rounded up to a power of two; memory is committed as it is used.
  explicit log_ring(std::size_t capacity);

  /// Producer. False: no room, counted in dropped(). Lines are never split by a drop.
  bool push(std::string_view line) noexcept;

  struct batch {
    std::string_view first;   ///< oldest bytes
    std::string_view second;  ///< after the wrap; may be empty
  };
  /// Consumer: everything readable now; ends at a line end. Stays valid until consume().
  [[nodiscard]] batch readable() const noexcept;
  void consume(std::size_t bytes) noexcept;

  [[nodiscard]] std::uint64_t dropped() const noexcept { return dropped_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::size_t size() const noexcept;
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

 private:
  std::size_t capacity_;
  std::unique_ptr<char[]> bytes_;
  alignas(64) std::atomic<std::size_t> head_{0};  // written by the producer
  std::size_t tail_seen_ = 0;
  std::atomic<std::uint64_t> dropped_{0};
  alignas(64) std::atomic<std::size_t> tail_{0};  // written by the consumer
};

}  // namespace weir::proxy
