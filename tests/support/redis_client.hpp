// SPDX-License-Identifier: Apache-2.0
// A blocking Redis connection for tests: one command at a time, no retries.
#pragma once

#include <cstdint>
#include <hiredis/hiredis.h>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace weir::tests {

struct reply_deleter {
  void operator()(redisReply* reply) const noexcept { freeReplyObject(reply); }
};
using redis_reply = std::unique_ptr<redisReply, reply_deleter>;

class redis_client {
 public:
  /// `redis://HOST:PORT` (an IPv4 address or localhost) or `unix:PATH`. Throws std::runtime_error.
  explicit redis_client(std::string_view address);
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

  int socket_ = -1;
  std::unique_ptr<redisReader, reader_deleter> reader_;
};

/// The integers of a flat array reply. Throws std::runtime_error for an error or any other shape.
std::vector<std::int64_t> to_integers(const redisReply& reply);

}  // namespace weir::tests
