// SPDX-License-Identifier: Apache-2.0
#include "proxy/downstream/body_reader.hpp"

#include <cstring>
#include <doctest/doctest.h>
#include <string>

using namespace weir;
using proxy::body_reader;

namespace {

constexpr std::uint64_t no_limit = ~std::uint64_t{0};

struct received {
  std::string data;
  body_reader::status last = body_reader::status::need_input;
  std::string left;  // bytes of the next message
};

/// Feeds `wire` in pieces of `step` bytes, as a socket would.
received read_all(body_reader& reader, std::string_view wire, std::size_t step) {
  proxy::buffer_pool pool;
  proxy::io_buffer in;
  in.ensure(pool, proxy::buffer_pool::small_block);
  received result;
  for (std::size_t at = 0; at < wire.size();) {
    const std::size_t size = std::min(step, wire.size() - at);
    if (in.unread_size() == 0) in.clear();
    std::memcpy(in.space(), wire.data() + at, size);
    in.received(size);
    at += size;
    for (;;) {
      const body_reader::slice slice = reader.next(in);
      result.last = slice.status;
      if (slice.status != body_reader::status::data) break;
      result.data += slice.data;
    }
    if (result.last != body_reader::status::need_input) {
      result.left = std::string(in.unread()) + std::string(wire.substr(at));
      return result;
    }
  }
  return result;
}

}  // namespace

TEST_CASE("a body of known length ends where it says, whatever the segmentation") {
  for (const std::size_t step : {1u, 2u, 3u, 7u, 100u}) {
    body_reader reader;
    reader.begin(http::framing::content_length, 10, no_limit);
    const received got = read_all(reader, "0123456789GET /", step);
    CHECK(got.data == "0123456789");
    CHECK(reader.complete());
    CHECK(got.left == "GET /");
    CHECK(reader.received() == 10);
  }
}

TEST_CASE("a chunked body is decoded and leaves the next message alone") {
  for (const std::size_t step : {1u, 2u, 5u, 100u}) {
    body_reader reader;
    reader.begin(http::framing::chunked, 0, no_limit);
    const received got = read_all(reader, "4\r\nWiki\r\n5;a=b\r\npedia\r\n0\r\nX: y\r\n\r\nNEXT", step);
    CHECK(got.data == "Wikipedia");
    CHECK(reader.complete());
    CHECK(got.left == "NEXT");
  }
}

TEST_CASE("a broken chunk is malformed") {
  body_reader reader;
  reader.begin(http::framing::chunked, 0, no_limit);
  CHECK(read_all(reader, "4\r\nWikiX\r\n", 100).last == body_reader::status::malformed);
}

TEST_CASE("a body that passes the limit is too large as soon as it does") {
  body_reader reader;
  reader.begin(http::framing::chunked, 0, 5);
  CHECK(read_all(reader, "6\r\nabcdef\r\n0\r\n\r\n", 100).last == body_reader::status::too_large);
  reader.begin(http::framing::chunked, 0, 6);
  CHECK(read_all(reader, "6\r\nabcdef\r\n0\r\n\r\n", 100).data == "abcdef");
}

TEST_CASE("only a close-delimited body may end with its input") {
  body_reader reader;
  reader.begin(http::framing::until_close, 0, no_limit);
  CHECK(read_all(reader, "all of it", 4).data == "all of it");
  CHECK_FALSE(reader.complete());
  CHECK(reader.end_of_input());
  CHECK(reader.complete());
  reader.begin(http::framing::content_length, 3, no_limit);
  (void)read_all(reader, "ab", 2);
  CHECK_FALSE(reader.end_of_input());
  reader.begin(http::framing::chunked, 0, no_limit);
  CHECK_FALSE(reader.end_of_input());
}

TEST_CASE("no framing means no body") {
  body_reader reader;
  reader.begin(http::framing::none, 0, 0);
  CHECK(reader.complete());
  CHECK(reader.left() == 0);
}
