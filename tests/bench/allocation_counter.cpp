// SPDX-License-Identifier: Apache-2.0
// Preloaded into weir: counts heap allocations and where they come from, in a file that a test maps as well.
// ALLOCATIONS_FILE names it; the test creates it, big enough and zeroed, and sets `recording` around what it
// measures. The thread that starts the process is left out: it carries no requests, but watches files and
// answers scrapes. Its layout is known to allocations.py. glibc's own names of the allocator are called, so
// that nothing is looked up.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <execinfo.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* old, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
}

namespace {
constexpr std::size_t frames_max = 24;
constexpr std::size_t sites_max = 256;  // one more is counted in `total` only
constexpr std::size_t own_frames = 2;   // note() and the allocator's function

// A place that allocated: the return addresses that led to it, innermost first.
struct site {
  std::uint64_t calls;
  std::uint64_t bytes;
  std::uint64_t depth;
  std::array<std::uint64_t, frames_max> frames;
};

struct ledger {
  std::atomic<std::uint64_t> recording;  // set by the test
  std::atomic<std::uint64_t> total;      // allocations while it was set
  std::uint64_t sites_used;
  std::array<site, sites_max> sites;
};

ledger* shared = nullptr;
std::atomic_flag busy = ATOMIC_FLAG_INIT;
thread_local bool silent __attribute__((tls_model("initial-exec"))) = false;

void enter(const std::array<std::uint64_t, frames_max>& frames, std::size_t depth, std::size_t bytes) {
  site* const end = shared->sites.data() + shared->sites_used;
  site* found = std::find_if(shared->sites.data(), end, [&](const site& s) { return s.frames == frames; });
  if (found == end) {
    if (shared->sites_used == sites_max) return;
    *found = {0, 0, depth, frames};
    ++shared->sites_used;
  }
  ++found->calls;
  found->bytes += bytes;
}

[[gnu::noinline]] void note(std::size_t bytes) {
  if (shared == nullptr || silent || shared->recording.load(std::memory_order_acquire) == 0) return;
  silent = true;
  shared->total.fetch_add(1, std::memory_order_relaxed);
  std::array<void*, frames_max + own_frames> raw{};
  const auto depth = static_cast<std::size_t>(backtrace(raw.data(), static_cast<int>(raw.size())));
  std::array<std::uint64_t, frames_max> frames{};
  for (std::size_t i = own_frames; i < depth; ++i)
    frames[i - own_frames] = reinterpret_cast<std::uintptr_t>(raw[i]);
  while (busy.test_and_set(std::memory_order_acquire)) {
  }
  enter(frames, depth - std::min(depth, own_frames), bytes);
  busy.clear(std::memory_order_release);
  silent = false;
}

__attribute__((constructor)) void map_ledger() {
  const char* const path = std::getenv("ALLOCATIONS_FILE");
  if (path == nullptr) return;
  std::array<void*, 1> first_use{};
  backtrace(first_use.data(), 1);  // loads the unwinder, which allocates
  const int file = open(path, O_RDWR | O_CLOEXEC);
  if (file < 0) return;
  void* const mapped = mmap(nullptr, sizeof(ledger), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  silent = true;
  if (mapped != MAP_FAILED) shared = static_cast<ledger*>(mapped);
}
}  // namespace

extern "C" {
void* malloc(std::size_t size) {
  note(size);
  return __libc_malloc(size);
}

void* calloc(std::size_t count, std::size_t size) {
  note(count * size);
  return __libc_calloc(count, size);
}

void* realloc(void* old, std::size_t size) {
  note(size);
  return __libc_realloc(old, size);
}

void* memalign(std::size_t alignment, std::size_t size) {
  note(size);
  return __libc_memalign(alignment, size);
}

void* aligned_alloc(std::size_t alignment, std::size_t size) {
  note(size);
  return __libc_memalign(alignment, size);
}

int posix_memalign(void** out, std::size_t alignment, std::size_t size) {
  note(size);
  *out = __libc_memalign(alignment, size);
  return *out == nullptr ? 12 : 0;  // ENOMEM
}
}
