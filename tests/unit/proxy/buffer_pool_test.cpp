// SPDX-License-Identifier: Apache-2.0
#include "proxy/runtime/buffer_pool.hpp"

#include <doctest/doctest.h>
#include <vector>

using weir::proxy::buffer_pool;

TEST_CASE("a pool is crowded at three quarters of its budget and exhausted beyond it") {
  buffer_pool pool;
  pool.set_budget(4 * buffer_pool::small_block);
  std::vector<std::unique_ptr<char[]>> blocks;
  const auto take = [&] { blocks.push_back(pool.take(buffer_pool::small_block)); };
  for (int i = 0; i < 3; ++i) take();
  CHECK_FALSE(pool.crowded());
  take();
  CHECK(pool.crowded());
  CHECK_FALSE(pool.exhausted());
  take();
  CHECK(pool.exhausted());
  for (auto& block : blocks) pool.give(std::move(block), buffer_pool::small_block);
  CHECK_FALSE(pool.crowded());
}

TEST_CASE("without a budget a pool is never crowded") {
  buffer_pool pool;
  const auto block = pool.take(std::size_t{1} << 20);
  CHECK_FALSE(pool.crowded());
  CHECK_FALSE(pool.exhausted());
}

TEST_CASE("kept blocks are reused until they are dropped") {
  buffer_pool pool;
  auto block = pool.take(buffer_pool::small_block);
  const char* const first = block.get();
  pool.give(std::move(block), buffer_pool::small_block);
  block = pool.take(buffer_pool::small_block);
  CHECK(block.get() == first);
  pool.give(std::move(block), buffer_pool::small_block);
  pool.drop_kept();
  CHECK(pool.take(buffer_pool::small_block) != nullptr);
}
