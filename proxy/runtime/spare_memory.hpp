// SPDX-License-Identifier: Apache-2.0
// What this process holds resident and will hardly use again.
#pragma once

namespace weir::proxy {

/// Gives freed heap back to the system, and unmaps the pages of program and libraries that nobody writes: those that
/// only starting and reading a configuration needed stay away, the others come back from the page cache as soon as
/// they are used (some microseconds for 16 pages). To be called after a start, a reload, a storm of connections; takes
/// about a millisecond. Any thread. Never fails: what the system refuses stays.
void return_spare_memory() noexcept;

}  // namespace weir::proxy
