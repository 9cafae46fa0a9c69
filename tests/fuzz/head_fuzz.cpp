// SPDX-License-Identifier: Apache-2.0
// Request heads: any segmentation gives one verdict, Beast and a second reader agree with what is accepted,
// and what is forwarded is again a head that weir would accept.
#include "proxy/http/path.hpp"
#include "proxy/http/rewrite.hpp"
#include "proxy/http/upgrade.hpp"
#include "tests/fuzz/heads.hpp"
#include "tests/support/beast_opinion.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace weir::http;
using namespace weir::fuzz;

void forward(const request_head& head, std::string_view bytes) {
  if (head.hops == 0) return;  // ends here
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

/// What weir accepts, the others accept with the same parts; what they accept and weir does not has a reason.
void compare(const request_head& head, scan_status status, std::string_view bytes) {
  const std::optional<weir::plain_http::head> plain = weir::plain_http::read_request_head(bytes);
  if (status == scan_status::complete) {
    require(weir::beast_opinion::disagreement(head, bytes.substr(0, head.size())).empty());
    require(plain && plain->size == head.size() && plain->first == head.method(bytes));
    require(weir::beast_opinion::same_target(head, bytes, plain->second));
    require(plain->fields == weir::beast_opinion::fields_of(head, bytes));
    require(plain->third.back() == '0' + head.version_minor);
    require((head.framing == framing::chunked) == !plain->all("transfer-encoding").empty());
    require((head.framing == framing::content_length) == !plain->all("content-length").empty());
    return;
  }
  const bool others_accept = plain || weir::beast_opinion::accepts<weir::beast_opinion::request_parser>(
                                          weir::beast_opinion::without_empty_lines(bytes));
  if (!others_accept) return;
  require(status == scan_status::refused);
  require(head.refusal().status >= 400 && !head.refusal().type.empty() && !head.refusal().message.empty());
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
  compare(*whole, status, bytes);
  if (status == scan_status::need_more) return;
  require_same(*whole, *split, bytes);
  if (status != scan_status::complete) return;
  require(whole->method(bytes) == split->method(bytes) && whole->target(bytes) == split->target(bytes));
  require(whole->host(bytes) == split->host(bytes) && whole->expect_continue == split->expect_continue);
  forward(*whole, bytes);
}

}  // namespace

/// First byte: tight limits, size of the pieces.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const unsigned mode = data[0];
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  fuzz_request(bytes, 1 + (mode >> 2) % 32, (mode & 2) != 0);
  return 0;
}
