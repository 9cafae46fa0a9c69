// SPDX-License-Identifier: Apache-2.0
#include "proxy/downstream/body_reader.hpp"

#include <algorithm>

namespace weir::proxy {

body_reader::slice body_reader::next(io_buffer& in) noexcept {
  if (complete_) return {status::complete, {}};
  if (in.unread_size() == 0) return {status::need_input, {}};
  std::string_view data;
  if (framing_ == http::framing::chunked) {
    char* const raw = in.unread_data();
    const http::chunk_decoder::result decoded = decoder_.decode(raw, in.unread_size());
    if (decoded.status == http::chunk_decoder::status::malformed) return {status::malformed, {}};
    complete_ = decoded.status == http::chunk_decoder::status::complete;
    data = {raw, decoded.produced};
    in.consume(decoded.consumed);
  } else {
    const std::string_view unread = in.unread();
    const std::size_t size = framing_ == http::framing::content_length
                                 ? static_cast<std::size_t>(std::min<std::uint64_t>(left_, unread.size()))
                                 : unread.size();
    data = unread.substr(0, size);
    in.consume(size);
    if (framing_ == http::framing::content_length) {
      left_ -= size;
      complete_ = left_ == 0;
    }
  }
  received_ += data.size();
  if (received_ > limit_) return {status::too_large, {}};
  if (!data.empty()) return {status::data, data};
  return {complete_ ? status::complete : status::need_input, {}};
}

}  // namespace weir::proxy
