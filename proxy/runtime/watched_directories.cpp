// SPDX-License-Identifier: Apache-2.0
#include "proxy/runtime/watched_directories.hpp"

#include <deque>
#include <filesystem>
#include <system_error>

namespace weir::proxy {

namespace {

namespace fs = std::filesystem;

constexpr int max_links = 40;  // as many as the kernel follows

/// What is left of a path, part by part.
class remaining_path {
 public:
  void put_in_front(const fs::path& path) { parts_.insert(parts_.begin(), path.begin(), path.end()); }
  [[nodiscard]] bool empty() const noexcept { return parts_.empty(); }
  fs::path take() {
    fs::path first = std::move(parts_.front());
    parts_.pop_front();
    return first;
  }

 private:
  std::deque<fs::path> parts_;
};

}  // namespace

void add_deciding_directories(std::set<std::string>& directories, const std::string& path) {
  std::error_code failed;
  remaining_path rest;
  rest.put_in_front(fs::absolute(path, failed));
  fs::path at = "/";  // never behind a link
  int links = 0;
  while (!rest.empty()) {
    const fs::path part = rest.take();
    if (part.empty() || part == "." || part == "/") continue;
    if (part == "..") {
      at = at.parent_path();
      continue;
    }
    const fs::path next = at / part;
    const fs::file_status status = fs::symlink_status(next, failed);
    if (fs::is_symlink(status) && ++links <= max_links) {
      directories.insert(at.string());
      const fs::path target = fs::read_symlink(next, failed);
      rest.put_in_front(target);
      if (target.is_absolute()) at = "/";
    } else if (fs::is_directory(status)) {
      at = next;
    } else {
      break;  // the file, or nothing
    }
  }
  directories.insert(at.string());
}

}  // namespace weir::proxy
