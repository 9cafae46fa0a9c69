// SPDX-License-Identifier: Apache-2.0
// hiredis' reply parser behind RAII, fed only with whole replies that a reply_guard let pass.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct redisReader;

namespace weir::limiter::redis {

/// One reply. Only the member named by `type` is meaningful.
struct reply {
  enum class kind : std::uint8_t {
    nil,
    integer,   ///< integers[0]
    integers,  ///< an array of nothing but integers
    status,    ///< text
    error,     ///< text, without the leading '-'
    bulk,      ///< text
    mixed,     ///< any other array; its elements are not kept
  };
  kind type = kind::nil;
  std::string text;
  std::vector<std::int64_t> integers;
};

class reply_reader {
 public:
  reply_reader();
  ~reply_reader();
  reply_reader(const reply_reader&) = delete;
  reply_reader& operator=(const reply_reader&) = delete;

  /// Parses exactly one whole reply into value(). False when hiredis sees anything but exactly one reply in
  /// it: then the connection has to be closed.
  [[nodiscard]] bool read(std::string_view bytes);

  /// The last reply; its buffers are reused by the next read().
  [[nodiscard]] const reply& value() const noexcept { return value_; }

 private:
  struct callbacks;
  struct free_reader {
    void operator()(redisReader* reader) const noexcept;
  };
  reply value_;
  std::unique_ptr<redisReader, free_reader> reader_;
};

}  // namespace weir::limiter::redis
