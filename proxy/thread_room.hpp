// SPDX-License-Identifier: Apache-2.0
// Where a thread composes a text before it is sent or appended somewhere.
#pragma once

#include <cstddef>
#include <span>

namespace weir::proxy {

/// `size` bytes, which are the caller's until the next call of this thread. Kept and never shrunk, so that no
/// text pays for making them: at most what the longest one needs. Memory is committed as far as texts reach.
/// The first call of a thread notes that they are freed with it, for which libc ends the process when there
/// is no memory: a thread that shall survive that calls once as it starts, with 0.
[[nodiscard]] std::span<char> thread_room(std::size_t size);

}  // namespace weir::proxy
