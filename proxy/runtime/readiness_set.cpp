// SPDX-License-Identifier: Apache-2.0
#include "proxy/runtime/readiness_set.hpp"

#include <boost/asio/post.hpp>
#include <cerrno>
#include <new>
#include <system_error>
#include <utility>

namespace weir::proxy {

namespace {
int make_epoll() {
  const int fd = ::epoll_create1(EPOLL_CLOEXEC);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1");
  return fd;
}
}  // namespace

readiness_set::readiness_set(boost::asio::io_context& io, std::function<void()> before_batch,
                             std::function<void()> after_batch)
    : epoll_(io, make_epoll()),
      before_batch_(std::move(before_batch)),
      after_batch_(std::move(after_batch)) {}

bool readiness_set::add(int fd, ready_handler& handler) noexcept {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = &handler;
  return ::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_ADD, fd, &event) == 0;
}

void readiness_set::remove(int fd, ready_handler& handler) noexcept {
  ::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_DEL, fd, nullptr);
  for (std::size_t i = next_; i < count_; ++i) {
    if (events_[i].data.ptr == &handler) events_[i].data.ptr = nullptr;
  }
}

void readiness_set::start() {
  if (!watching_) wait();
}

void readiness_set::stop() {
  stopped_ = true;
  boost::system::error_code ignored;
  epoll_.cancel(ignored);
}

void readiness_set::wait() {
  epoll_.async_wait(boost::asio::posix::descriptor_base::wait_read,
                    [this](const boost::system::error_code& error) {
                      watching_ = false;
                      if (error || stopped_) return;
                      dispatch();
                      if (!stopped_) wait();
                    });
  watching_ = true;
}

void readiness_set::dispatch() {
  const int n = ::epoll_wait(epoll_.native_handle(), events_.data(), static_cast<int>(batch_size), 0);
  count_ = n > 0 ? static_cast<std::size_t>(n) : 0;
  before_batch_();
  for (next_ = 0; next_ < count_;) {
    const epoll_event event = events_[next_++];
    if (event.data.ptr == nullptr) continue;
    try {
      static_cast<ready_handler*>(event.data.ptr)->on_ready(event.events);
    } catch (const std::bad_alloc&) {
      // There is no memory for this event. The others still get theirs; its owner is left to its deadline.
      continue;
    }
  }
  count_ = next_ = 0;
  after_batch_();
}

}  // namespace weir::proxy
