// SPDX-License-Identifier: Apache-2.0
#include "proxy/runtime/spare_memory.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

namespace weir::proxy {

namespace {

/// Segments that the loader writes (RELRO) carry PF_W as well, so these are equal to their file byte by byte.
[[nodiscard]] bool is_never_written(const ElfW(Phdr) & segment) noexcept {
  return segment.p_type == PT_LOAD && (segment.p_flags & PF_W) == 0;
}

int unmap_file_pages(dl_phdr_info* object, std::size_t, void*) noexcept {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  for (std::size_t i = 0; i < object->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = object->dlpi_phdr[i];
    if (!is_never_written(segment)) continue;
    const std::uintptr_t first = object->dlpi_addr + segment.p_vaddr;
    const std::uintptr_t begin = first & ~(page - 1);
    ::madvise(std::bit_cast<void*>(begin), first + segment.p_memsz - begin, MADV_DONTNEED);
  }
  return 0;  // go on
}

}  // namespace

void return_spare_memory() noexcept {
  ::malloc_trim(0);
  ::dl_iterate_phdr(unmap_file_pages, nullptr);
}

}  // namespace weir::proxy
