// SPDX-License-Identifier: Apache-2.0
#include "proxy/runtime/name_lookup.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstring>
#include <mutex>
#include <netdb.h>
#include <system_error>
#include <thread>
#include <utility>

namespace weir::proxy {

lookup_answer ask_system_resolver(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found); error != 0)
    return boost::system::error_code(error, boost::asio::error::get_addrinfo_category());
  std::vector<resolved_address> addresses;
  for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
    if (entry->ai_family != AF_INET && entry->ai_family != AF_INET6) continue;
    resolved_address address;
    address.size = entry->ai_addrlen;
    std::memcpy(&address.storage, entry->ai_addr, entry->ai_addrlen);
    addresses.push_back(address);
  }
  ::freeaddrinfo(found);
  if (addresses.empty()) return boost::system::error_code(boost::asio::error::host_not_found);
  return addresses;
}

/// Outlives the lookup for as long as a thread hangs.
struct name_lookup::shared_state {
  std::mutex mutex;
  boost::asio::io_context* io = nullptr;  // null: the lookup is gone
  int threads = 0;
};

namespace {

/// One question; its handler is called by whoever comes first, the answer or the deadline.
struct question {
  explicit question(boost::asio::io_context& io) : deadline(io) {}
  boost::asio::steady_timer deadline;
  name_lookup::handler done;
  void settle(lookup_answer answer) {
    if (!done) return;
    deadline.cancel();
    std::exchange(done, nullptr)(std::move(answer));
  }
};

}  // namespace

name_lookup::name_lookup(boost::asio::io_context& io, blocking_resolver resolve)
    : io_(io), resolve_(std::move(resolve)), shared_(std::make_shared<shared_state>()) {
  shared_->io = &io;
}

name_lookup::~name_lookup() {
  const std::scoped_lock lock(shared_->mutex);
  shared_->io = nullptr;
}

void name_lookup::ask(const std::string& host, std::uint16_t port, std::chrono::milliseconds patience,
                      handler done) {
  auto q = std::make_shared<question>(io_);
  q->done = std::move(done);
  {
    const std::scoped_lock lock(shared_->mutex);
    if (shared_->threads >= most_threads) {
      boost::asio::post(io_, [q] { q->settle(boost::system::error_code(boost::asio::error::try_again)); });
      return;
    }
    ++shared_->threads;
  }
  q->deadline.expires_after(patience);
  q->deadline.async_wait([q](const boost::system::error_code& error) {
    if (!error) q->settle(boost::system::error_code(boost::asio::error::timed_out));
  });
  // The thread must not own the question, whose timer belongs to the io_context.
  std::thread([host, port, resolve = resolve_, shared = shared_, weak = std::weak_ptr(q)]() mutable {
    lookup_answer answer = resolve(host, port);
    const std::scoped_lock lock(shared->mutex);
    --shared->threads;
    if (shared->io == nullptr) return;
    boost::asio::post(*shared->io, [weak = std::move(weak), answer = std::move(answer)]() mutable {
      if (const auto asked = weak.lock()) asked->settle(std::move(answer));
    });
  }).detach();
}

}  // namespace weir::proxy
