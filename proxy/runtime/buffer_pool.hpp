// SPDX-License-Identifier: Apache-2.0
// Blocks for bytes in flight. A connection borrows one while it has something to hold; an idle one holds
// none.
#pragma once

#include <array>
#include <cstddef>
#include <cstring>
#include <limits>
#include <memory>
#include <string_view>
#include <utility>

namespace weir::proxy {

/// Recycles blocks of two sizes. One per worker; not thread-safe.
class buffer_pool {
 public:
  static constexpr std::size_t small_block = 16 * 1024;
  /// Window of large bodies; with the small block that holds the head less than 64 KiB per connection.
  static constexpr std::size_t large_block = 48 * 1024;
  static constexpr std::size_t max_kept = 256;  ///< per size; more are freed

  /// Bytes that may be out before new work is refused; without it there is no bound.
  void set_budget(std::size_t bytes) noexcept { budget_ = bytes; }
  /// Three quarters of the budget are out: requests that begin now are shed, those under way go on.
  [[nodiscard]] bool crowded() const noexcept { return out_ > budget_ - budget_ / 4; }
  /// All of it is: not even a head is read any more.
  [[nodiscard]] bool exhausted() const noexcept { return out_ > budget_; }

  [[nodiscard]] std::unique_ptr<char[]> take(std::size_t size) {
    kept_blocks* const kept = list(size);
    std::unique_ptr<char[]> block = kept != nullptr && kept->size > 0
                                        ? std::move(kept->blocks[--kept->size])
                                        : std::unique_ptr<char[]>(new char[size]);
    out_ += size;
    return block;
  }

  void give(std::unique_ptr<char[]> block, std::size_t size) noexcept {
    out_ -= size;
    kept_blocks* const kept = list(size);
    if (kept != nullptr && kept->size < max_kept) kept->blocks[kept->size++] = std::move(block);
  }

  /// Frees the blocks that are kept.
  void drop_kept() noexcept {
    small_ = {};
    large_ = {};
  }

 private:
  struct kept_blocks {
    std::array<std::unique_ptr<char[]>, max_kept> blocks;  // so that give() allocates nothing
    std::size_t size = 0;
  };

  /// Null: blocks of that size are not kept.
  [[nodiscard]] kept_blocks* list(std::size_t size) noexcept {
    if (size == small_block) return &small_;
    if (size == large_block) return &large_;
    return nullptr;
  }
  kept_blocks small_, large_;
  std::size_t out_ = 0;  // bytes of the blocks that are taken
  std::size_t budget_ = std::numeric_limits<std::size_t>::max();
};

/// Received bytes that are not consumed yet: [begin, end) of a pooled block.
class io_buffer {
 public:
  io_buffer() = default;
  io_buffer(const io_buffer&) = delete;
  io_buffer& operator=(const io_buffer&) = delete;
  ~io_buffer() { release(); }

  /// Takes a block of at least `size` bytes, keeping the content (offsets from data() stay valid).
  void ensure(buffer_pool& pool, std::size_t size) {
    if (capacity_ >= size) return;
    const std::size_t rounded = size <= buffer_pool::small_block   ? buffer_pool::small_block
                                : size <= buffer_pool::large_block ? buffer_pool::large_block
                                                                   : size;
    std::unique_ptr<char[]> bigger = pool.take(rounded);
    if (end_ > 0) std::memcpy(bigger.get(), block_.get(), end_);
    const std::size_t begin = begin_;
    const std::size_t end = end_;
    release();
    pool_ = &pool;
    block_ = std::move(bigger);
    capacity_ = rounded;
    begin_ = begin;
    end_ = end;
  }

  /// Gives the block back; all content is gone.
  void release() noexcept {
    if (block_) pool_->give(std::move(block_), capacity_);
    block_.reset();
    capacity_ = begin_ = end_ = 0;
  }

  /// Moves the unread bytes to the front of the block.
  void compact() noexcept {
    if (begin_ == 0) return;
    if (end_ > begin_) std::memmove(block_.get(), block_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }

  [[nodiscard]] char* data() noexcept { return block_.get(); }
  /// The whole block up to the last received byte, consumed bytes included: what head offsets refer to.
  [[nodiscard]] std::string_view all() const noexcept { return {block_.get(), end_}; }
  [[nodiscard]] std::string_view unread() const noexcept { return {block_.get() + begin_, end_ - begin_}; }
  [[nodiscard]] char* unread_data() noexcept { return block_.get() + begin_; }
  [[nodiscard]] std::size_t unread_size() const noexcept { return end_ - begin_; }
  [[nodiscard]] char* space() noexcept { return block_.get() + end_; }
  [[nodiscard]] std::size_t space_size() const noexcept { return capacity_ - end_; }
  [[nodiscard]] bool has_block() const noexcept { return block_ != nullptr; }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  [[nodiscard]] std::size_t begin() const noexcept { return begin_; }

  void received(std::size_t n) noexcept { end_ += n; }
  void consume(std::size_t n) noexcept { begin_ += n; }
  /// Forgets everything behind offset `at`, so that the space can be read into again.
  void rewind_to(std::size_t at) noexcept { begin_ = end_ = at; }
  void clear() noexcept { begin_ = end_ = 0; }

 private:
  buffer_pool* pool_ = nullptr;
  std::unique_ptr<char[]> block_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace weir::proxy
