// SPDX-License-Identifier: Apache-2.0
// A blocking Redis connection for tests: one command at a time, no retries.
#pragma once

#include <cstdint>
#include <hiredis/hiredis.h>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weir::tests {

struct reply_deleter {
  void operator()(redisReply* reply) const noexcept { freeReplyObject(reply); }
};
using redis_reply = std::unique_ptr<redisReply, reply_deleter>;

/// PEM files of a connection with TLS; the certificate and its key may be empty.
struct tls_files {
  std::string ca, certificate, key;
};

class redis_client {
 public:
  /// `redis[s]://[USER:PASSWORD@]HOST:PORT` (an IPv4 address or localhost) or `unix:PATH`. Throws
  /// std::runtime_error.
  explicit redis_client(std::string_view address, const tls_files& files = {});
  ~redis_client();
  redis_client(const redis_client&) = delete;
  redis_client& operator=(const redis_client&) = delete;

  /// Sends a complete RESP command and waits (10 s at most) for its reply. Throws when the connection fails;
  /// an error reply is returned.
  redis_reply exchange(std::string_view resp);
  redis_reply command(const std::vector<std::string_view>& arguments);

 private:
  struct reader_deleter {
    void operator()(redisReader* reader) const noexcept { redisReaderFree(reader); }
  };

  void send_all(std::string_view bytes);
  [[nodiscard]] std::size_t receive(std::span<char> into);

  struct tls_session;
  int socket_ = -1;
  std::unique_ptr<tls_session> tls_;  // null: plain
  std::unique_ptr<redisReader, reader_deleter> reader_;
};

/// The integers of a flat array reply. Throws std::runtime_error for an error or any other shape.
std::vector<std::int64_t> to_integers(const redisReply& reply);

}  // namespace weir::tests
