// SPDX-License-Identifier: Apache-2.0
// Chunk decoder: any segmentation gives the same bytes, and what was decoded survives coding and decoding
// again.
#include "proxy/http/chunked.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

using weir::http::chunk_decoder;

void require(bool condition) {
  if (!condition) std::abort();
}

struct outcome {
  chunk_decoder::status status = chunk_decoder::status::need_more;
  std::size_t consumed = 0;
  std::string body;
  friend bool operator==(const outcome&, const outcome&) = default;
};

outcome decode(const std::string& bytes, std::size_t step) {
  chunk_decoder decoder;
  decoder.begin();
  outcome o;
  for (std::size_t at = 0; at < bytes.size() && o.status == chunk_decoder::status::need_more;) {
    const std::size_t n = std::min(1 + (at * 5 + 2) % step, bytes.size() - at);
    std::vector<char> piece(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                            bytes.begin() + static_cast<std::ptrdiff_t>(at + n));
    const auto r = decoder.decode(piece.data(), n);
    require(r.produced <= r.consumed && r.consumed <= n);
    require(r.status != chunk_decoder::status::need_more || r.consumed == n);
    o.status = r.status;
    o.consumed += r.consumed;
    o.body.append(piece.data(), r.produced);
    at += n;
  }
  return o;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const outcome bytewise = decode(bytes, 1);
  require(decode(bytes, 1 + data[0] % 64U) == bytewise);
  std::string whole = bytes;
  chunk_decoder decoder;
  decoder.begin();
  const auto r = decoder.decode(whole.data(), whole.size());
  require(r.status == bytewise.status && r.consumed == bytewise.consumed);
  require(std::string_view(whole.data(), r.produced) == bytewise.body);
  if (r.status != chunk_decoder::status::complete) return 0;
  std::string coded;
  if (!bytewise.body.empty()) {
    coded.append(weir::http::chunk_header(bytewise.body.size()).view()).append(bytewise.body).append("\r\n");
  }
  coded += weir::http::last_chunk;
  require(decode(coded, 7).body == bytewise.body);
  return 0;
}
