// SPDX-License-Identifier: Apache-2.0
#include "proxy/thread_room.hpp"

#include <memory>

namespace weir::proxy {

std::span<char> thread_room(std::size_t size) {
  static thread_local std::unique_ptr<char[]> bytes;
  static thread_local std::size_t room = 0;
  if (room < size) {
    bytes = std::make_unique_for_overwrite<char[]>(size);
    room = size;
  }
  return {bytes.get(), size};
}

}  // namespace weir::proxy
