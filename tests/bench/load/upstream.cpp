// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/load/upstream.hpp"

#include <algorithm>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace weir::bench {

namespace {

class served final : public connection {
 public:
  served(int fd, const std::string& response) : connection(fd), response_(response) {}

  void on_ready(bool ends) override {
    flush();
    read_all(ends, [this](std::string_view got) { take(got); });
  }

 private:
  void take(std::string_view got) {
    const std::size_t skipped = std::min(left_, got.size());
    left_ -= skipped;
    if (skipped > 0 && left_ == 0) write(response_);
    head_ += got.substr(skipped);
    for (std::size_t end = head_.find("\r\n\r\n"); end != std::string::npos; end = head_.find("\r\n\r\n")) {
      const std::size_t head_size = end + 4, body = content_length({head_.data(), end + 2});
      const std::size_t here = std::min(body, head_.size() - head_size);
      left_ = body - here;
      if (left_ == 0) write(response_);
      head_.erase(0, head_size + here);
    }
  }

  const std::string& response_;
  std::string head_;
  std::size_t left_ = 0;  // of a request's body
};

class listener final : public connection {
 public:
  listener(loop& where, int fd, std::size_t body) : connection(fd), where_(where) {
    response_ =
        "HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Sat, 01 Nov 2025 00:00:00 GMT\r\nContent-Type: "
        "text/plain\r\n"
        "Content-Length: " +
        std::to_string(body) + "\r\n\r\n" + std::string(body, 'x');
  }

  void on_ready(bool /*ends*/) override {
    for (;;) {
      const int fd = accept4(this->fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      const int on = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      where_.add(std::make_unique<served>(fd, response_));
    }
  }

 private:
  loop& where_;
  std::string response_;
};

}  // namespace

void serve(loop& where, std::uint16_t port, std::size_t body) {
  where.add(std::make_unique<listener>(where, listen_on(port), body));
}

}  // namespace weir::bench
