// SPDX-License-Identifier: Apache-2.0
// Responses as an upstream may send them: interim heads, the final head, its body. Any segmentation gives one
// verdict, Beast and a second reader agree with what is accepted, and what a client gets is again such a
// response.
#include "proxy/http/chunked.hpp"
#include "proxy/http/rewrite.hpp"
#include "tests/fuzz/heads.hpp"
#include "tests/support/beast_opinion.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace {

using namespace weir::http;
using namespace weir::fuzz;
namespace plain_http = weir::plain_http;
namespace beast_opinion = weir::beast_opinion;

constexpr std::size_t max_head = 32 * 1024;

void compare(const response_head& head, scan_status status, std::string_view bytes) {
  const std::optional<plain_http::head> plain = plain_http::read_response_head(bytes);
  if (status == scan_status::complete) {
    require(beast_opinion::disagreement(head, bytes.substr(0, head.size())).empty());
    require(plain && plain->size == head.size() && plain->second == std::to_string(head.status));
    require(plain->third == head.reason(bytes) && plain->fields == beast_opinion::fields_of(head, bytes));
    require(head.framing != framing::chunked || plain->all("transfer-encoding").size() == 1);
    return;
  }
  if (!plain && !beast_opinion::accepts<beast_opinion::response_parser>(bytes)) return;
  require(status == scan_status::refused && head.refusal().status == 502 && !head.refusal().message.empty());
}

struct relayed {
  std::string data;
  bool whole = false;
  std::size_t size = 0;  ///< bytes of the body on the wire
};

/// The body as weir takes it, in pieces; the end of `bytes` is the end of the connection.
relayed read_body(const response_head& head, std::string_view bytes, std::size_t step) {
  relayed r;
  if (head.framing == framing::none) return {{}, true, 0};
  if (head.framing == framing::until_close) return {std::string(bytes), true, bytes.size()};
  if (head.framing == framing::content_length) {
    r.size = static_cast<std::size_t>(std::min<std::uint64_t>(head.content_length, bytes.size()));
    return {std::string(bytes.substr(0, r.size)), r.size == head.content_length, r.size};
  }
  chunk_decoder decoder;
  decoder.begin();
  while (r.size < bytes.size()) {
    std::string piece(bytes.substr(r.size, 1 + (r.size * 3 + 1) % step));
    const chunk_decoder::result result = decoder.decode(piece.data(), piece.size());
    r.data.append(piece, 0, result.produced);
    r.size += result.consumed;
    r.whole = result.status == chunk_decoder::status::complete;
    if (result.status != chunk_decoder::status::need_more) break;
  }
  return r;
}

/// What the client gets is a response that reads the same, without what ends at this hop.
void forward(const response_head& head, std::string_view bytes, const relayed& body, bool head_request) {
  response_context c;
  c.framing = head.framing == framing::until_close ? framing::chunked : head.framing;
  c.request_id = "id";
  c.via = "weir";
  c.date = "now";
  c.extra_fields = "RateLimit: x\r\nRetry-After: 1\r\n";
  std::string out;
  append_response_head(out, head, bytes, c);
  if (out.size() > max_head || head.field_count > 90) return;
  const auto again = std::make_unique<response_head>();
  again->begin(head_request);
  require(again->scan(out) == scan_status::complete && again->size() == out.size());
  require(again->status == head.status && again->framing == c.framing);
  require(again->content_length == (head.status == 204 ? 0 : head.content_length));
  require(!again->nominates && again->find(header_id::connection) == nullptr);
  require(again->find(header_id::trailer) == nullptr && again->find(header_id::upgrade) == nullptr);
  if (c.framing != framing::chunked || !body.whole) return;
  std::string coded;
  if (!body.data.empty())
    coded.append(chunk_header(body.data.size()).view()).append(body.data).append("\r\n");
  const std::optional<plain_http::body> read = plain_http::read_chunked(coded.append(last_chunk));
  require(read && read->data == body.data && read->size == coded.size());
}

/// One message; answers the bytes behind its head, or nothing when there is none.
std::optional<std::string_view> fuzz_message(std::string_view bytes, std::size_t step, bool head_request) {
  const auto whole = std::make_unique<response_head>();
  const auto split = std::make_unique<response_head>();
  whole->begin(head_request);
  split->begin(head_request);
  const scan_status status = whole->scan(bytes);
  require(scan_in_pieces(*split, bytes, step) == status);
  compare(*whole, status, bytes);
  if (status == scan_status::need_more) return {};
  require_same(*whole, *split, bytes);
  if (status != scan_status::complete) return {};
  require(whole->status == split->status && whole->reason(bytes) == split->reason(bytes));
  const std::string_view rest = bytes.substr(whole->size());
  if (whole->status < 200) return rest;
  const relayed body = read_body(*whole, rest, step);
  const relayed bytewise = read_body(*whole, rest, 1);
  require(body.data == bytewise.data && body.whole == bytewise.whole && body.size == bytewise.size);
  if (whole->framing == framing::chunked && body.whole) {
    const std::optional<plain_http::body> plain = plain_http::read_chunked(rest);
    require(plain && plain->data == body.data && plain->size == body.size);
  }
  forward(*whole, bytes, body, head_request);
  return {};
}

}  // namespace

/// First byte: HEAD, size of the pieces.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const unsigned mode = data[0];
  std::optional<std::string_view> bytes(std::string_view(reinterpret_cast<const char*>(data) + 1, size - 1));
  for (int interim = 0; bytes && interim < 17; ++interim) {
    bytes = fuzz_message(*bytes, 1 + (mode >> 2) % 32, (mode & 2) != 0);
  }
  return 0;
}
