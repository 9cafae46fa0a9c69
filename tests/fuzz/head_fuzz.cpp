// SPDX-License-Identifier: Apache-2.0
// Head scanners: any segmentation gives one verdict, and what is forwarded is again a head that weir would
// accept.
#include "proxy/http/path.hpp"
#include "proxy/http/rewrite.hpp"
#include "proxy/http/upgrade.hpp"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace weir::http;

void require(bool condition) {
  if (!condition) std::abort();
}

template <typename Head>
void require_same(const Head& a, const Head& b, std::string_view bytes) {
  require(a.refusal().status == b.refusal().status && a.refusal().message == b.refusal().message);
  if (a.refusal().status != 0) return;
  require(a.size() == b.size() && a.framing == b.framing && a.content_length == b.content_length);
  require(a.keep_alive == b.keep_alive && a.nominates == b.nominates && a.field_count == b.field_count);
  for (std::size_t i = 0; i < a.field_count; ++i) {
    const field& f = a.fields[i];
    const field& g = b.fields[i];
    require(a.name(f, bytes) == b.name(g, bytes) && a.value(f, bytes) == b.value(g, bytes));
    require(f.id == g.id && f.dropped == g.dropped);
    require(a.value(f, bytes).find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos);
  }
}

/// Feeds prefixes that grow by 1 to `step` bytes, each in a block of its own.
template <typename Head>
scan_status scan_in_pieces(Head& head, std::string_view bytes, std::size_t step) {
  scan_status status = scan_status::need_more;
  for (std::size_t n = 0; status == scan_status::need_more && n < bytes.size();) {
    n += 1 + (n * 7 + 3) % step;
    if (n > bytes.size()) n = bytes.size();
    const auto block = std::make_unique<char[]>(n);
    std::memcpy(block.get(), bytes.data(), n);
    status = head.scan({block.get(), n});
  }
  return status;
}

void forward(const request_head& head, std::string_view bytes) {
  std::string storage;
  normalised_target target;
  if (!normalise_target(head.target(bytes), storage, target)) return;
  request_context c;
  c.path = target.path;
  c.query = target.query;
  c.has_query = target.has_query;
  c.host = "upstream";
  c.peer_address = "192.0.2.1";
  c.peer_trusted = bytes.size() % 2 == 0;
  c.listener_port = "80";
  c.request_id = "id";
  c.via = "weir";
  const std::vector<std::string> protocols{"websocket", "chat"};
  c.upgrade = requested_upgrade(head, bytes, protocols);
  std::string out;
  append_request_head(out, head, bytes, c);
  const auto again = std::make_unique<request_head>();
  head_limits wide;
  wide.target_size = wide.header_size = wide.field_size = 1024 * 1024;
  wide.header_count = max_fields;
  again->begin(wide);
  require(again->scan(out) == scan_status::complete && again->size() == out.size());
  require(again->method(out) == head.method(bytes) && again->host(out) == "upstream");
  require(again->content_length == head.content_length);
  require(again->framing == head.framing || (head.framing == framing::none && again->content_length == 0));
  require(requested_upgrade(*again, out, protocols) == c.upgrade && again->nominates == !c.upgrade.empty());
  require(c.upgrade.empty() == (again->find(header_id::connection) == nullptr));
  require(c.upgrade.empty() == (again->find(header_id::upgrade) == nullptr));
}

void forward(const response_head& head, std::string_view bytes, bool head_request) {
  response_context c;
  c.framing = head.framing == framing::until_close ? framing::chunked : head.framing;
  c.request_id = "id";
  c.via = "weir";
  c.date = "now";
  c.extra_fields = "RateLimit: x\r\nRetry-After: 1\r\n";
  std::string out;
  append_response_head(out, head, bytes, c);
  if (out.size() > 32 * 1024 || head.field_count > 90) return;
  const auto again = std::make_unique<response_head>();
  again->begin(head_request);
  require(again->scan(out) == scan_status::complete && again->size() == out.size());
  require(again->status == head.status &&
          again->content_length == (head.status == 204 ? 0 : head.content_length));
  require(again->framing == c.framing);
}

void fuzz_request(std::string_view bytes, std::size_t step, bool tight) {
  head_limits limits;
  if (tight) limits = {20, 120, 40, 4};
  const auto whole = std::make_unique<request_head>();
  const auto split = std::make_unique<request_head>();
  whole->begin(limits);
  split->begin(limits);
  const scan_status status = whole->scan(bytes);
  require(scan_in_pieces(*split, bytes, step) == status);
  if (status == scan_status::need_more) return;
  require_same(*whole, *split, bytes);
  if (status != scan_status::complete) return;
  require(whole->method(bytes) == split->method(bytes) && whole->target(bytes) == split->target(bytes));
  require(whole->host(bytes) == split->host(bytes) && whole->expect_continue == split->expect_continue);
  forward(*whole, bytes);
}

void fuzz_response(std::string_view bytes, std::size_t step, bool head_request) {
  const auto whole = std::make_unique<response_head>();
  const auto split = std::make_unique<response_head>();
  whole->begin(head_request, !head_request);
  split->begin(head_request, !head_request);
  const scan_status status = whole->scan(bytes);
  require(scan_in_pieces(*split, bytes, step) == status);
  if (status == scan_status::need_more) return;
  require_same(*whole, *split, bytes);
  if (status != scan_status::complete) return;
  require(whole->status == split->status && whole->reason(bytes) == split->reason(bytes));
  if (whole->status >= 200) forward(*whole, bytes, head_request);
  if (grants_upgrade(*whole, bytes, "websocket")) require(whole->status == 101 && !head_request);
}

}  // namespace

/// First byte: request or response, tight limits or HEAD, size of the pieces.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const unsigned mode = data[0];
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t step = 1 + (mode >> 2) % 32;
  if ((mode & 1) == 0) {
    fuzz_request(bytes, step, (mode & 2) != 0);
  } else {
    fuzz_response(bytes, step, (mode & 2) != 0);
  }
  return 0;
}
