// SPDX-License-Identifier: Apache-2.0
// One epoll loop that both the clients and the upstream of a benchmark run in, so that the core of the load
// generator never switches between processes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace weir::bench {

using nanoseconds = std::uint64_t;  // of CLOCK_MONOTONIC

[[nodiscard]] nanoseconds now_ns();

/// Throws std::system_error named `what` when `result` < 0.
int checked(int result, const char* what);

/// A socket that is registered once, edge-triggered, and what waits to be written to it.
class connection {
 public:
  explicit connection(int fd) : fd_(fd) {}
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;
  virtual ~connection();

  /// Something may be readable or writable. `ends`: the other side sends no more than what is there.
  virtual void on_ready(bool ends) = 0;

  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] bool closed() const noexcept { return fd_ < 0; }
  void close() noexcept;

 protected:
  /// Writes now what the kernel takes and keeps the rest for flush(). Closes on an error.
  void write(std::string_view bytes);
  void flush();
  /// What has come, valid until the next call on any connection; empty: nothing (or closed).
  [[nodiscard]] std::string_view read();
  /// Hands everything that has come to `take`. A short read is the last one, so none fails.
  template <class Take>
  void read_all(bool ends, Take take) {
    while (!closed()) {
      const std::string_view got = read();
      if (!got.empty()) take(got);
      if (got.empty() || (!ends && got.size() < read_size)) return;
    }
  }

 private:
  static constexpr std::size_t read_size = 256 * 1024;

  int fd_;
  std::string unwritten_;
  std::size_t written_ = 0;
};

class loop {
 public:
  loop();
  ~loop();
  loop(const loop&) = delete;
  loop& operator=(const loop&) = delete;

  /// Owned until it is closed; the reference is valid for the whole life of the loop.
  connection& add(std::unique_ptr<connection> made);
  /// Waits for at most `longest` and tells the connections that are ready.
  void turn(nanoseconds longest);

 private:
  int epoll_;
  std::vector<std::unique_ptr<connection>> all_;
};

/// A listener on, and a connection to, 127.0.0.1.
[[nodiscard]] int listen_on(std::uint16_t port);
[[nodiscard]] int connect_to(std::uint16_t port);

/// The value of Content-Length in a head, 0 when there is none. Throws std::runtime_error on a chunked body.
[[nodiscard]] std::size_t content_length(std::string_view head);

}  // namespace weir::bench
