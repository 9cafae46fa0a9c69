// SPDX-License-Identifier: Apache-2.0
#include "proxy/runtime/descriptors.hpp"

#include <algorithm>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace weir::proxy {

int descriptor_limit() noexcept {
  static const int limit = [] {
    rlimit descriptors{};
    ::getrlimit(RLIMIT_NOFILE, &descriptors);
    return static_cast<int>(std::min<rlim_t>(descriptors.rlim_cur, 1'000'000));
  }();
  return limit;
}

bool short_of_descriptors(int fd, int kept) noexcept {
  return fd >= descriptor_limit() - kept;
}

bool short_of_client_descriptors(int fd) noexcept {
  return short_of_descriptors(fd, std::min(descriptors_kept_from_clients, descriptor_limit() / 4));
}

void occupy_standard_streams() noexcept {
  int fd = ::open("/dev/null", O_RDWR);
  while (fd >= 0 && fd <= STDERR_FILENO) fd = ::dup(fd);
  if (fd > STDERR_FILENO) ::close(fd);
}

void reserve_descriptors() noexcept {
  const int fd =
      ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, std::min(descriptor_limit(), descriptors_reserved) - 1);
  if (fd >= 0) ::close(fd);
}

}  // namespace weir::proxy
