// SPDX-License-Identifier: Apache-2.0
#include "config/source_text.hpp"

#include "limiter/sha256.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <system_error>
#include <unistd.h>

namespace weir::config {
namespace {

constexpr std::size_t first_piece = std::size_t{64} * 1024;  // of what has no size, such as a pipe

class open_file {
 public:
  explicit open_file(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~open_file() {
    if (fd_ >= 0) ::close(fd_);
  }
  open_file(const open_file&) = delete;
  open_file& operator=(const open_file&) = delete;
  [[nodiscard]] int fd() const noexcept { return fd_; }

 private:
  int fd_;
};

/// Appends what comes until `text` holds `size` bytes; false: an error, in errno. `ended`: the file did.
bool read_until(int fd, std::string& text, std::size_t size, bool& ended) {
  std::size_t used = text.size();
  text.resize(size);
  while (used < size && !ended) {
    const ssize_t got = ::read(fd, text.data() + used, size - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return false;
    ended = got == 0;
    used += static_cast<std::size_t>(got);
  }
  text.resize(used);
  return true;
}

/// One allocation for a file that knows its size.
bool read_all(int fd, std::size_t size_expected, std::size_t size_max, std::string& text) {
  bool ended = false;
  std::size_t next = std::max(size_expected + 1, first_piece);
  while (!ended && text.size() <= size_max) {
    if (!read_until(fd, text, std::min(next, size_max + 1), ended)) return false;
    next = text.size() * 2;
  }
  return true;
}

}  // namespace

source_text read_source(const std::string& path, std::size_t size_max,
                        std::vector<proxy::source_file>& files) {
  const open_file file{path};
  source_text result;
  std::string text;
  proxy::source_file& source = files.emplace_back();
  source.path = path;
  if (file.fd() >= 0) source.stamp = proxy::stamp_of(file.fd());
  if (file.fd() < 0 || !read_all(file.fd(), source.stamp.size, size_max, text)) {
    result.problem = std::system_category().message(errno);
    source.stamp = proxy::stamp_of(path);
    return result;
  }
  source.digest = limiter::sha256(text);
  result.text = std::move(text);
  return result;
}

}  // namespace weir::config
