// SPDX-License-Identifier: Apache-2.0
// Living within the descriptor limit: clients are turned away while some are left for upstreams, the store,
// the admin port and files, and upstreams while some are left for the last three.
#pragma once

#include <cstdint>

namespace weir::proxy {

inline constexpr int descriptors_kept_from_clients = 64;   ///< a quarter of the limit when that is less
inline constexpr int descriptors_kept_from_upstreams = 8;  ///< admin port, Redis, log files, reload

inline constexpr int descriptors_reserved = 65536;  ///< 512 KiB of the kernel's memory

/// The soft RLIMIT_NOFILE when it was first asked; at most 1,000,000.
[[nodiscard]] int descriptor_limit() noexcept;

/// `fd` was just made. The kernel hands out the lowest free number, so that one tells how many are left.
[[nodiscard]] bool short_of_descriptors(int fd, int kept) noexcept;
[[nodiscard]] bool short_of_client_descriptors(int fd) noexcept;

/// Opens /dev/null on those of 0, 1 and 2 that whoever started the process left closed: no socket may become
/// a standard stream, where a stray message would reach a client.
void occupy_standard_streams() noexcept;

/// Makes the kernel's table of this process' descriptors as large as it may get, up to
/// `descriptors_reserved`; call while there is one thread. Grown later, at each power of two, it holds up
/// whoever opens a descriptor until all CPUs have let go of the old one: 5 to 20 ms, in which a worker serves
/// nobody.
void reserve_descriptors() noexcept;

}  // namespace weir::proxy
