// SPDX-License-Identifier: Apache-2.0
// How a stuck reader is kept from stopping anybody: the thread waits in poll() for "writable or told to
// wake", and no write() ever blocks.
//   - A file, and stdout or stderr that lead to a pipe or terminal, are opened anew with O_NONBLOCK. The flag
//   belongs
//     to the open file description; the one inherited as fd 1 is shared with other processes (the shell,
//     other programs of the container) and setting it there would break them.
//   - A socket (journald) is written with MSG_DONTWAIT.
//   - A pipe that may not be opened again (it belongs to another user) gets at most PIPE_BUF bytes after
//   poll() has
//     reported room: such a write does not block as long as nobody else fills the pipe in between.
//   - A regular file on fd 1 is written as it is: it never blocks in the sense of poll().
#include "proxy/observe/log_writer.hpp"

#include "proxy/observe/json_writer.hpp"
#include "proxy/observe/own_log.hpp"
#include "proxy/runtime/fatal_signals.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <fcntl.h>
#include <limits>
#include <new>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace weir::proxy {
namespace {

using steady = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds wake_interval{25};  // a line waits so long at most before it is written

/// Closes its descriptor.
class descriptor {
 public:
  explicit descriptor(int fd = -1) noexcept : fd_(fd) {}
  descriptor(descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  descriptor& operator=(descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const noexcept { return fd_; }

 private:
  int fd_;
};

/// Where lines go.
struct destination {
  descriptor fd;
  bool socket = false;
  std::size_t most = std::numeric_limits<std::size_t>::max();  ///< bytes of one write
};

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), "access log " + what);
}

/// Append mode keeps lines whole when several processes write one file.
descriptor open_to_append(const std::string& path) {
  return descriptor(
      ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0640));
}

destination open_stream(int stream) {
  const std::string name = stream == STDOUT_FILENO ? "stdout" : "stderr";
  destination to;
  struct stat info {};
  if (::fstat(stream, &info) != 0) fail(name);
  to.socket = S_ISSOCK(info.st_mode);
  if (S_ISFIFO(info.st_mode) || S_ISCHR(info.st_mode)) {
    const std::string same = "/proc/self/fd/" + std::to_string(stream);
    to.fd = descriptor(::open(same.c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (to.fd.get() >= 0) return to;
    to.most = PIPE_BUF;
  }
  to.fd = descriptor(::fcntl(stream, F_DUPFD_CLOEXEC, 0));
  if (to.fd.get() < 0) fail(name);
  return to;
}

destination open_file(const std::string& path) {
  destination to;
  to.fd = open_to_append(path);
  if (to.fd.get() < 0) fail(path);
  return to;
}

destination open_destination(const std::string& to) {
  if (to == "stdout") return open_stream(STDOUT_FILENO);
  if (to == "stderr") return open_stream(STDERR_FILENO);
  return open_file(to == "none" ? "/dev/null" : to);
}

std::uint64_t count_lines(std::string_view text) noexcept {
  return static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n'));
}

std::int64_t wall_clock_us() {
  const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::microseconds>(since_epoch).count();
}

/// Blocks every signal in this thread while it lives, so that a thread started meanwhile inherits that:
/// signals go to the threads that handle them, and a write to a closed pipe is EPIPE, never SIGPIPE.
class all_signals_blocked {
 public:
  all_signals_blocked() noexcept {
    const sigset_t all = all_but_fatal_signals();
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~all_signals_blocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  all_signals_blocked(const all_signals_blocked&) = delete;
  all_signals_blocked& operator=(const all_signals_blocked&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace

struct log_writer::impl {
  impl(std::string path, std::vector<log_ring*> from)
      : to(std::move(path)),
        rings(std::move(from)),
        out(open_destination(to)),
        wake_fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (wake_fd.get() < 0) fail("wake-up");
    const all_signals_blocked inherited_by_the_thread;
    thread = std::thread(&impl::run, this);
  }

  // ---- Any thread ----

  void wake() const noexcept {
    const std::uint64_t one = 1;
    // it fails only when the counter is full, and then the thread is about to wake anyway
    [[maybe_unused]] const ssize_t n = ::write(wake_fd.get(), &one, sizeof one);
  }

  [[nodiscard]] std::uint64_t dropped() const noexcept {
    std::uint64_t sum = lost.load(std::memory_order_relaxed);
    for (const log_ring* ring : rings) sum += ring->dropped();
    return sum;
  }

  // ---- The thread ----

  void run() {
    bool last_round = false;
    while (!last_round) {
      last_round = stopping.load(std::memory_order_acquire);
      try {
        write_round(last_round);
      } catch (const std::bad_alloc&) {
        sleep();  // what could not be said for lack of memory is said in a later round
      }
      if (!last_round && !crowded()) sleep();
    }
    out.fd = descriptor();  // a reader sees the end
  }

  void write_round(bool last) {
    if (reopen_wanted.exchange(false)) reopen_file();
    for (log_ring* ring : rings) flush(*ring);
    // a round with no new drops ends a time of drops
    const std::uint64_t dropped_before = std::exchange(seen_dropped, dropped());
    if (last || seen_dropped == dropped_before) announce_drops();
  }

  /// Lines gather for a while, so that one write takes many; not when a ring fills up faster than that.
  [[nodiscard]] bool crowded() const noexcept {
    return std::any_of(rings.begin(), rings.end(), [](log_ring* r) { return r->size() > r->capacity() / 4; });
  }

  /// Writes what the ring holds now, or gives it up when that is not possible.
  void flush(log_ring& ring) {
    const log_ring::batch batch = ring.readable();
    const std::size_t size = batch.first.size() + batch.second.size();
    if (size == 0) return;
    bool writable = end_torn_line();
    for (std::size_t done = 0; writable && done < size;) {
      const std::size_t n = write_some(after(batch, done));
      ring.consume(n);
      done += n;
      writable = n > 0;
    }
    if (!writable) abandon(ring);
  }

  static log_ring::batch after(log_ring::batch b, std::size_t bytes) noexcept {
    const std::size_t of_first = std::min(bytes, b.first.size());
    b.first.remove_prefix(of_first);
    b.second.remove_prefix(bytes - of_first);
    return b;
  }

  /// Counts and forgets what a ring holds. A line that was written in part is lost, too: its end is still
  /// there.
  void abandon(log_ring& ring) noexcept {
    const log_ring::batch batch = ring.readable();
    lost.fetch_add(count_lines(batch.first) + count_lines(batch.second), std::memory_order_relaxed);
    ring.consume(batch.first.size() + batch.second.size());
  }

  /// One line after a time of drops, so that the log itself tells of its gaps.
  void announce_drops() {
    const std::uint64_t total = dropped();
    if (total == announced) return;
    std::string line = "{\"ts\":";
    append_json_time(line, wall_clock_us());
    line += ",\"msg\":\"access log lines dropped\",\"dropped\":" + std::to_string(total - announced) + "}\n";
    if (end_torn_line() && write_all(line)) announced = total;
  }

  /// After an error in the middle of a line the next one must not continue it.
  bool end_torn_line() { return !mid_line || write_all("\n"); }

  bool write_all(std::string_view text) {
    while (!text.empty()) {
      const std::size_t n = write_some({text, {}});
      if (n == 0) return false;
      text.remove_prefix(n);
    }
    return true;
  }

  /// Writes a part of `text`, which is not empty; waits for room as long as it takes. 0: an error, or the
  /// patience of stop() is over.
  std::size_t write_some(log_ring::batch text) {
    while (wait_until_writable()) {
      const ssize_t n = write_now(text);
      if (n > 0) {
        const auto last = static_cast<std::size_t>(n) - 1;
        mid_line =
            (last < text.first.size() ? text.first[last] : text.second[last - text.first.size()]) != '\n';
        failing = false;
        return static_cast<std::size_t>(n);
      }
      if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        report_failure(errno);
        break;
      }
    }
    return 0;
  }

  ssize_t write_now(log_ring::batch text) const noexcept {
    text.first = text.first.substr(0, out.most);
    text.second = text.second.substr(0, out.most - text.first.size());
    std::array<iovec, 2> parts{{{const_cast<char*>(text.first.data()), text.first.size()},
                                {const_cast<char*>(text.second.data()), text.second.size()}}};
    if (!out.socket) return ::writev(out.fd.get(), parts.data(), parts.size());
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    return ::sendmsg(out.fd.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  }

  /// False: there is no room and the patience of stop() is over.
  bool wait_until_writable() {
    while (true) {
      const int timeout = stopping.load(std::memory_order_acquire) ? patience_left() : -1;
      std::array<pollfd, 2> on{{{out.fd.get(), POLLOUT, 0}, {wake_fd.get(), POLLIN, 0}}};
      const int ready = ::poll(on.data(), on.size(), timeout);
      if (ready < 0 && errno != EINTR) return false;
      if (ready > 0 && on[0].revents != 0) return true;  // an error, too: the write will name it
      if (ready > 0) take_wake_up();
      if (ready == 0) return false;
    }
  }

  [[nodiscard]] int patience_left() const noexcept {
    const auto left = std::chrono::ceil<milliseconds>(deadline - steady::now()).count();
    return static_cast<int>(std::clamp<std::int64_t>(left, 0, INT_MAX));
  }

  void sleep() const noexcept {
    pollfd on{wake_fd.get(), POLLIN, 0};
    if (::poll(&on, 1, static_cast<int>(wake_interval.count())) > 0) take_wake_up();
  }

  void take_wake_up() const noexcept {
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t n = ::read(wake_fd.get(), &count, sizeof count);
  }

  void reopen_file() {
    if (to == "stdout" || to == "stderr" || to == "none") return;
    try {
      out = open_file(to);
      mid_line = false;
    } catch (const std::system_error& e) {
      log_event(log_level::error, "access log not reopened, the old file stays", {{"cause", e.what()}});
    }
  }

  void report_failure(int error) {
    if (std::exchange(failing, true)) return;
    log_event(log_level::error, "access log cannot be written, lines are dropped",
              {{"to", to}, {"cause", std::generic_category().message(error)}});
  }

  const std::string to;
  const std::vector<log_ring*> rings;
  std::atomic<std::uint64_t> lost{0};
  std::atomic<bool> reopen_wanted{false};
  std::atomic<bool> stopping{false};
  steady::time_point deadline;  // written before stopping

  destination out;  // from here on the thread's alone
  bool mid_line = false;
  bool failing = false;
  std::uint64_t seen_dropped = 0;  // at the end of the last round
  std::uint64_t announced = 0;     // told by marker lines so far

  descriptor wake_fd;
  std::thread thread;
};

log_writer::log_writer(const std::string& to, std::vector<log_ring*> rings)
    : impl_(std::make_unique<impl>(to, std::move(rings))) {}

log_writer::~log_writer() {
  stop(milliseconds{0});
}

void log_writer::reopen() noexcept {
  impl_->reopen_wanted = true;
  impl_->wake();
}

void log_writer::stop(milliseconds patience) {
  if (!impl_->thread.joinable()) return;
  impl_->deadline = steady::now() + patience;
  impl_->stopping.store(true, std::memory_order_release);
  impl_->wake();
  impl_->thread.join();
}

std::uint64_t log_writer::dropped() const noexcept {
  return impl_->dropped();
}

}  // namespace weir::proxy
