// SPDX-License-Identifier: Apache-2.0
#include "proxy/observe/log_ring.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace weir::proxy {

// head_ and tail_ count bytes since the start and never wrap in practice; the position in the buffer is their
// low bits. The memory is left uninitialised on purpose: the system commits a page when a line first reaches
// it.
log_ring::log_ring(std::size_t capacity)
    : capacity_(std::bit_ceil(std::max<std::size_t>(capacity, 1))), bytes_(new char[capacity_]) {}

bool log_ring::push(std::string_view line) noexcept {
  const std::size_t head = head_.load(std::memory_order_relaxed);
  if (head - tail_seen_ + line.size() > capacity_) {
    tail_seen_ = tail_.load(std::memory_order_acquire);
    if (head - tail_seen_ + line.size() > capacity_) {
      dropped_.store(dropped_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
      return false;
    }
  }
  const std::size_t at = head & (capacity_ - 1);
  const std::size_t until_wrap = std::min(line.size(), capacity_ - at);
  std::memcpy(bytes_.get() + at, line.data(), until_wrap);
  if (until_wrap < line.size()) [[unlikely]]
    std::memcpy(bytes_.get(), line.data() + until_wrap, line.size() - until_wrap);
  head_.store(head + line.size(), std::memory_order_release);
  return true;
}

log_ring::batch log_ring::readable() const noexcept {
  const std::size_t tail = tail_.load(std::memory_order_relaxed);
  const std::size_t size = head_.load(std::memory_order_acquire) - tail;
  const std::size_t at = tail & (capacity_ - 1);
  const std::size_t until_wrap = std::min(size, capacity_ - at);
  return {{bytes_.get() + at, until_wrap}, {bytes_.get(), size - until_wrap}};
}

void log_ring::consume(std::size_t bytes) noexcept {
  tail_.store(tail_.load(std::memory_order_relaxed) + bytes, std::memory_order_release);
}

std::size_t log_ring::size() const noexcept {
  // tail first: it never passes head, so the difference cannot turn negative
  const std::size_t tail = tail_.load(std::memory_order_acquire);
  return head_.load(std::memory_order_acquire) - tail;
}

}  // namespace weir::proxy
