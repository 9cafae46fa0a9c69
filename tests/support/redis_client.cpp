// SPDX-License-Identifier: Apache-2.0
#include "tests/support/redis_client.hpp"

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <system_error>
#include <unistd.h>

namespace weir::tests {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

sockaddr_un unix_address(std::string_view path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path)
    throw std::runtime_error("bad unix socket path");
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

sockaddr_in tcp_address(std::string_view host_port) {
  const std::size_t colon = host_port.rfind(':');
  std::uint16_t port = 6379;
  std::string host(host_port.substr(0, colon));
  if (colon != std::string_view::npos) {
    const std::string_view digits = host_port.substr(colon + 1);
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (parsed.ec != std::errc{} || parsed.ptr != digits.data() + digits.size()) {
      throw std::runtime_error("bad port in redis address");
    }
  }
  if (host == "localhost") host = "127.0.0.1";
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) {
    throw std::runtime_error("bad host in redis address");
  }
  return address;
}

int connect_to(int family, const void* address, socklen_t size) {
  const int fd = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  if (::connect(fd, static_cast<const sockaddr*>(address), size) != 0) {
    const int error = errno;
    ::close(fd);
    errno = error;
    fail("connect to redis");
  }
  const timeval patience{.tv_sec = 10, .tv_usec = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  return fd;
}

int open_socket(std::string_view address) {
  constexpr std::string_view tcp = "redis://";
  constexpr std::string_view tls = "rediss://";
  constexpr std::string_view local = "unix:";
  if (address.starts_with(local)) {
    const sockaddr_un name = unix_address(address.substr(local.size()));
    return connect_to(AF_UNIX, &name, sizeof name);
  }
  if (!address.starts_with(tcp) && !address.starts_with(tls))
    throw std::runtime_error("redis address is redis[s]://[USER:PASSWORD@]HOST:PORT or unix:PATH");
  const std::string_view rest = address.substr(address.find("//") + 2);
  const sockaddr_in name = tcp_address(rest.substr(rest.rfind('@') + 1));  // npos + 1 = 0
  const int fd = connect_to(AF_INET, &name, sizeof name);
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

}  // namespace

struct redis_client::tls_session {
  tls_session(const tls_files& files, int socket)
      : context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free), stream(nullptr, SSL_free) {
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    bool fine = SSL_CTX_load_verify_locations(context.get(), files.ca.c_str(), nullptr) == 1;
    if (!files.certificate.empty()) {
      fine = fine && SSL_CTX_use_certificate_chain_file(context.get(), files.certificate.c_str()) == 1 &&
             SSL_CTX_use_PrivateKey_file(context.get(), files.key.c_str(), SSL_FILETYPE_PEM) == 1;
    }
    stream.reset(SSL_new(context.get()));
    fine = fine && SSL_set_fd(stream.get(), socket) == 1 && SSL_connect(stream.get()) == 1;
    if (!fine) throw std::runtime_error("TLS to redis failed");
  }
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context;
  std::unique_ptr<SSL, decltype(&SSL_free)> stream;
};

redis_client::redis_client(std::string_view address, const tls_files& files)
    : socket_(open_socket(address)), reader_(redisReaderCreate()) {
  if (address.starts_with("rediss://")) tls_ = std::make_unique<tls_session>(files, socket_);
  const std::size_t end = address.rfind('@');
  if (address.starts_with("unix:") || end == std::string_view::npos) return;
  const std::size_t begin = address.find("//") + 2;
  const std::string_view login = address.substr(begin, end - begin);
  const std::size_t colon = login.find(':');
  const redis_reply welcome = command({"AUTH", login.substr(0, colon), login.substr(colon + 1)});
  if (welcome->type == REDIS_REPLY_ERROR) throw std::runtime_error(std::string(welcome->str, welcome->len));
}

redis_client::~redis_client() {
  tls_.reset();
  ::close(socket_);
}

void redis_client::send_all(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = tls_ ? SSL_write(tls_->stream.get(), bytes.data(), static_cast<int>(bytes.size()))
                              : ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) fail("send to redis");
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

std::size_t redis_client::receive(std::span<char> into) {
  const ssize_t received = tls_ ? SSL_read(tls_->stream.get(), into.data(), static_cast<int>(into.size()))
                                : ::recv(socket_, into.data(), into.size(), 0);
  if (received == 0) throw std::runtime_error("redis closed the connection");
  if (received < 0) fail("receive from redis");
  return static_cast<std::size_t>(received);
}

redis_reply redis_client::exchange(std::string_view resp) {
  send_all(resp);
  std::array<char, 65536> buffer;
  for (;;) {
    void* reply = nullptr;
    if (redisReaderGetReply(reader_.get(), &reply) != REDIS_OK) {
      throw std::runtime_error("malformed reply from redis");
    }
    if (reply != nullptr) return redis_reply(static_cast<redisReply*>(reply));
    redisReaderFeed(reader_.get(), buffer.data(), receive(buffer));
  }
}

redis_reply redis_client::command(const std::vector<std::string_view>& arguments) {
  std::string resp = "*" + std::to_string(arguments.size()) + "\r\n";
  for (const std::string_view argument : arguments) {
    resp += "$" + std::to_string(argument.size()) + "\r\n";
    resp += argument;
    resp += "\r\n";
  }
  return exchange(resp);
}

std::vector<std::int64_t> to_integers(const redisReply& reply) {
  if (reply.type == REDIS_REPLY_ERROR) throw std::runtime_error(std::string(reply.str, reply.len));
  if (reply.type != REDIS_REPLY_ARRAY) throw std::runtime_error("reply is no array");
  std::vector<std::int64_t> integers;
  for (std::size_t i = 0; i < reply.elements; ++i) {
    if (reply.element[i]->type != REDIS_REPLY_INTEGER) throw std::runtime_error("reply is not flat integers");
    integers.push_back(reply.element[i]->integer);
  }
  return integers;
}

}  // namespace weir::tests
