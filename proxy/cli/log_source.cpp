// SPDX-License-Identifier: Apache-2.0
#include "proxy/cli/log_source.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace weir::cli {
namespace {

constexpr std::size_t piece = 1024 * 1024;
static_assert(piece > longest_log_line);

}  // namespace

log_source::log_source(const std::string& path) : buffer_(piece) {
  file_ = path == "-" ? ::dup(STDIN_FILENO) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat facts {};
  if (file_ < 0 || ::fstat(file_, &facts) != 0) {
    problem_ = std::strerror(errno);
  } else if (S_ISDIR(facts.st_mode)) {
    problem_ = "is a directory";
  } else if (S_ISREG(facts.st_mode)) {
    size_ = static_cast<std::uint64_t>(facts.st_size);
  }
  ended_ = !problem_.empty();
}

log_source::~log_source() {
  if (file_ >= 0) ::close(file_);
}

/// Reads behind what is there. False: the end, or no room.
bool log_source::fill() {
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (ended_ || end_ == buffer_.size()) return false;
  const ssize_t got = ::read(file_, buffer_.data() + end_, buffer_.size() - end_);
  if (got < 0 && errno == EINTR) return true;
  if (got < 0) problem_ = std::strerror(errno);
  if (got <= 0) {
    ended_ = true;
    return false;
  }
  read_ += static_cast<std::uint64_t>(got);
  end_ += static_cast<std::size_t>(got);
  return true;
}

std::string_view log_source::beginning() {
  while (fill()) {
  }
  const std::string_view text(buffer_.data(), end_);
  return ended_ ? text : text.substr(0, text.rfind('\n') + 1);
}

std::optional<std::string_view> log_source::next() {
  if (std::exchange(in_long_line_, false)) skip_rest_of_line();
  std::size_t searched = 0;
  for (;;) {
    const char* from = buffer_.data() + begin_ + searched;
    const std::size_t held = end_ - begin_;
    const auto* end = static_cast<const char*>(std::memchr(from, '\n', held - searched));
    if (end != nullptr) {
      const std::string_view line(buffer_.data() + begin_,
                                  static_cast<std::size_t>(end - buffer_.data()) - begin_);
      begin_ += line.size() + 1;
      return line;
    }
    searched = held;
    if (held >= longest_log_line) {
      in_long_line_ = true;
      begin_ += held;
      return std::string_view(buffer_.data() + begin_ - held, held);
    }
    if (fill()) continue;
    if (end_ == begin_) return std::nullopt;
    const std::string_view last(buffer_.data() + begin_, end_ - begin_);
    begin_ = end_;
    return last;
  }
}

void log_source::skip_rest_of_line() {
  for (;;) {
    const char* from = buffer_.data() + begin_;
    const auto* end = static_cast<const char*>(std::memchr(from, '\n', end_ - begin_));
    begin_ = end == nullptr ? end_ : static_cast<std::size_t>(end - buffer_.data()) + 1;
    if (end != nullptr || !fill()) return;
  }
}

}  // namespace weir::cli
