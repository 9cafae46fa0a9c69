// SPDX-License-Identifier: Apache-2.0
#include "proxy/runtime/readiness_set.hpp"

#include <boost/asio/post.hpp>
#include <cerrno>
#include <new>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace weir::proxy {

namespace {
int make_epoll() {
  const int fd = ::epoll_create1(EPOLL_CLOEXEC);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1");
  return fd;
}
}  // namespace

readiness_set::watch::watch(readiness_set& owner)
    : reactor_op(
          {},
          [](reactor_op* self) {
            static_cast<watch*>(self)->set.dispatch();
            return not_done;
          },
          [](void*, boost::asio::detail::operation*, const boost::system::error_code&, std::size_t) {}),
      set(owner) {}

readiness_set::readiness_set(boost::asio::io_context& io, std::function<void()> before_batch,
                             std::function<void()> after_batch)
    : io_(io),
      work_(boost::asio::make_work_guard(io)),
      epoll_(make_epoll()),
      watch_(*this),
      before_batch_(std::move(before_batch)),
      after_batch_(std::move(after_batch)) {}

readiness_set::~readiness_set() {
  if (registration_ != nullptr) {
    auto& reactor = boost::asio::use_service<epoll_reactor>(io_);
    reactor.deregister_internal_descriptor(epoll_, registration_);
    reactor.cleanup_descriptor_data(registration_);
  }
  ::close(epoll_);
}

bool readiness_set::add(int fd, ready_handler& handler) noexcept {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = &handler;
  return ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0;
}

void readiness_set::remove(int fd, ready_handler& handler) noexcept {
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
  for (std::size_t i = next_; i < count_; ++i) {
    if (events_[i].data.ptr == &handler) events_[i].data.ptr = nullptr;
  }
}

void readiness_set::start() {
  if (registration_ != nullptr) return boost::asio::post(io_, [this] { dispatch(); });
  auto& reactor = boost::asio::use_service<epoll_reactor>(io_);
  reactor.init_task();
  if (const int error =
          reactor.register_internal_descriptor(epoll_reactor::read_op, epoll_, registration_, &watch_))
    throw std::system_error(error, std::generic_category(), "epoll_ctl");
}

void readiness_set::stop() noexcept {
  stopped_ = true;
  work_.reset();
}

void readiness_set::dispatch() {
  if (stopped_) return;
  const int n = ::epoll_wait(epoll_, events_.data(), static_cast<int>(batch_size), 0);
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
  const bool more = count_ == batch_size;  // which no change will announce again
  count_ = next_ = 0;
  after_batch_();
  if (more) boost::asio::post(io_, [this] { dispatch(); });
}

}  // namespace weir::proxy
