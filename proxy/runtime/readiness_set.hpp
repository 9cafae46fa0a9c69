// SPDX-License-Identifier: Apache-2.0
// Edge-triggered readiness of a worker's sockets.
//
// Why not one Asio socket per connection: an Asio stream read that begins on a drained socket costs a failing
// recv(), a readiness wait costs an epoll_ctl(), and a pooled connection cannot be watched while it idles
// without one of the two. Here a socket is registered once, the kernel reports each change once, and the
// flags are remembered, so a request costs its four transfers and a share of two waits. The set itself is one
// descriptor of the worker's io_context, which keeps running everything else (Redis, timers, posts from other
// threads). It stays registered the way Asio registers its own signal pipe: a wait that is begun anew each
// turn would cost an epoll_ctl() per turn.
#pragma once

#include <array>
#include <boost/asio/detail/epoll_reactor.hpp>
#include <boost/asio/detail/reactor_op.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <sys/epoll.h>

namespace weir::proxy {

/// Receives the changes of one descriptor, always on the worker's thread and never inside add().
class ready_handler {
 public:
  /// `events`: EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLHUP, EPOLLERR as they became true.
  virtual void on_ready(std::uint32_t events) = 0;

 protected:
  ~ready_handler() = default;
};

class readiness_set {
 public:
  /// `before_batch` and `after_batch` run around the events of one wait (clock; deferred destruction,
  /// timers).
  readiness_set(boost::asio::io_context& io, std::function<void()> before_batch,
                std::function<void()> after_batch);
  ~readiness_set();
  readiness_set(const readiness_set&) = delete;
  readiness_set& operator=(const readiness_set&) = delete;

  /// Registers a non-blocking descriptor. False: the kernel refused (errno is set).
  [[nodiscard]] bool add(int fd, ready_handler& handler) noexcept;

  /// Ends a registration; no event of the current batch reaches the handler any more. Call before close(fd).
  void remove(int fd, ready_handler& handler) noexcept;

  /// Begins to watch; on the worker's thread. Again: goes on after std::bad_alloc came out of the loop.
  void start();
  /// Stops watching; registered descriptors stay open.
  void stop() noexcept;

 private:
  using epoll_reactor = boost::asio::detail::epoll_reactor;
  /// Stands in the reactor for as long as the set lives: performed at each change, never complete.
  struct watch final : boost::asio::detail::reactor_op {
    explicit watch(readiness_set& owner);
    readiness_set& set;
  };

  void dispatch();

  static constexpr std::size_t batch_size = 256;
  boost::asio::io_context& io_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  const int epoll_;
  watch watch_;
  epoll_reactor::per_descriptor_data registration_ = nullptr;
  std::function<void()> before_batch_;
  std::function<void()> after_batch_;
  std::array<epoll_event, batch_size> events_{};
  std::size_t next_ = 0;   // first event of the batch not handled yet
  std::size_t count_ = 0;  // events in the batch
  bool stopped_ = false;
};

}  // namespace weir::proxy
