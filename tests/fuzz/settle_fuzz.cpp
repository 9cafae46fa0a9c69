// SPDX-License-Identifier: Apache-2.0
// Any bytes as a response body: the cost that is read is the same however they are cut, and no byte costs
// more memory than the named bounds. The first byte of the input says what the body claims to be.
#include "proxy/settle/body_cost_reader.hpp"
#include "proxy/settle/cost_meter.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string_view>

namespace {

using weir::proxy::settle::body_cost_reader;

void require(bool holds) {
  if (!holds) std::abort();
}

struct claim {
  std::string_view pointer, type, coding;
};

claim claim_of(std::uint8_t first) {
  claim c;
  c.pointer = (first & 4) != 0 ? "/usage/total_tokens" : "/a";
  c.type = (first & 1) != 0 ? "text/event-stream" : "application/json";
  c.coding = (first & 2) != 0 ? "gzip" : "";
  return c;
}

std::optional<std::int64_t> read(const claim& c, std::string_view body, std::size_t piece, bool complete) {
  body_cost_reader reader(c.pointer, c.type, c.coding);
  for (std::size_t at = 0; at < body.size(); at += piece) reader.feed(body.substr(at, piece));
  return reader.finish(complete);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const claim c = claim_of(data[0]);
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  for (const bool complete : {true, false}) {
    const auto whole = read(c, body, std::max<std::size_t>(body.size(), 1), complete);
    require(!whole || *whole >= 0);
    for (const std::size_t piece : {1u, 2u, 7u}) require(read(c, body, piece, complete) == whole);
  }
  const auto header = weir::proxy::settle::header_cost(body);
  require(!header || *header >= 0);
  return 0;
}
