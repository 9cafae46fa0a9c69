// SPDX-License-Identifier: Apache-2.0
#include "proxy/source_file.hpp"

#include <algorithm>
#include <sys/stat.h>

namespace weir::proxy {

namespace {

file_stamp to_stamp(const struct stat& s) noexcept {
  constexpr std::int64_t second_ns = 1'000'000'000;
  return {s.st_dev, s.st_ino, static_cast<std::uint64_t>(s.st_size),
          s.st_ctim.tv_sec * second_ns + s.st_ctim.tv_nsec};
}

}  // namespace

file_stamp stamp_of(const std::string& path) noexcept {
  struct stat s {};
  return ::stat(path.c_str(), &s) == 0 ? to_stamp(s) : file_stamp{};
}

file_stamp stamp_of(int fd) noexcept {
  struct stat s {};
  return ::fstat(fd, &s) == 0 ? to_stamp(s) : file_stamp{};
}

std::vector<std::string> changed_files(const std::vector<source_file>& before,
                                       const std::vector<source_file>& files) {
  std::vector<std::string> changed;
  for (const source_file& file : files) {
    const bool known = std::any_of(before.begin(), before.end(), [&](const source_file& old) {
      return old.path == file.path && old.digest == file.digest;
    });
    if (!known && std::find(changed.begin(), changed.end(), file.path) == changed.end())
      changed.push_back(file.path);
  }
  return changed;
}

bool same_content(const std::vector<source_file>& a, const std::vector<source_file>& b) noexcept {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const source_file& x, const source_file& y) {
    return x.path == y.path && x.digest == y.digest;
  });
}

}  // namespace weir::proxy
