// SPDX-License-Identifier: Apache-2.0
// Reply guard and reader over arbitrary bytes. The first two bytes choose how many elements a decision
// implies and how the bytes are cut into reads.
#include "limiter/redis/decide_call.hpp"
#include "limiter/redis/reply_guard.hpp"
#include "limiter/redis/reply_reader.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

using namespace weir::limiter::redis;
using progress = reply_guard::progress;

void require(bool condition) {
  if (!condition) std::abort();
}

/// What the reader made of a reply that the guard let pass.
void check_value(const reply& value, std::size_t elements) {
  require(value.text.size() <= max_reply_bytes);
  if (value.type == reply::kind::integers) {
    require(elements == 0 ? value.integers.size() <= max_control_elements
                          : value.integers.size() == elements);
  }
  weir::limiter::store_reply decision;
  const std::size_t charges = elements / 5;
  constexpr std::int64_t requests = 3;
  if (parse_decide(value.integers, weir::limiter::operation::take, charges, decision, requests)) {
    require(decision.states.size() == charges);
    require(decision.admitted >= 0 && decision.admitted <= requests);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::size_t charges = data[0] % 33;
  const std::size_t elements = charges == 0 ? 0 : decide_reply_size(charges);
  const std::size_t step = std::size_t{1} + data[1];
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);

  reply_guard guard;
  reply_reader reader;
  std::size_t begin = 0;
  for (std::size_t end = 0; end < bytes.size();) {
    end = bytes.size() - end < step ? bytes.size() : end + step;
    progress last = progress::complete;
    while (begin < end && last == progress::complete) {
      const std::string_view unread = bytes.substr(begin, end - begin);
      last = guard.scan(unread, elements);
      if (last == progress::violation) return 0;
      if (last == progress::incomplete) {
        require(unread.size() < max_reply_bytes + max_text_line);  // nothing is buffered for ever
        continue;
      }
      const std::size_t length = guard.reply_bytes();
      require(length > 0 && length <= unread.size() && length <= max_reply_bytes);

      // Cut anywhere, the guard says the same.
      reply_guard whole;
      require(whole.scan(unread.substr(0, length), elements) == progress::complete);
      require(whole.reply_bytes() == length);

      if (!reader.read(unread.substr(0, length))) return 0;
      check_value(reader.value(), elements);
      begin += length;
      guard.next();
    }
  }
  return 0;
}
