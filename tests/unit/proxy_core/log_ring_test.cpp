// SPDX-License-Identifier: Apache-2.0
#include "proxy/observe/log_ring.hpp"

#include <cstdint>
#include <doctest/doctest.h>
#include <string>
#include <thread>

using weir::proxy::log_ring;

namespace {

/// Takes everything out.
std::string drain(log_ring& ring) {
  const log_ring::batch batch = ring.readable();
  std::string text = std::string(batch.first) + std::string(batch.second);
  ring.consume(text.size());
  return text;
}

}  // namespace

TEST_CASE("lines come out whole and in order") {
  log_ring ring(64);
  CHECK(ring.push("one\n"));
  CHECK(ring.push("two\n"));
  CHECK(ring.size() == 8);
  CHECK(drain(ring) == "one\ntwo\n");
  CHECK(ring.size() == 0);
  CHECK(drain(ring).empty());
}

TEST_CASE("the capacity is rounded up to a power of two and can be used to the last byte") {
  log_ring ring(100);
  CHECK(ring.capacity() == 128);
  CHECK(ring.push(std::string(127, 'x') + "\n"));
  CHECK_FALSE(ring.push("\n"));
  CHECK(ring.dropped() == 1);
}

TEST_CASE("a line that does not fit is dropped whole and counted") {
  log_ring ring(16);
  CHECK(ring.push("0123456789\n"));
  CHECK_FALSE(ring.push("abcdefgh\n"));
  CHECK(ring.push("xy\n"));
  CHECK(ring.dropped() == 1);
  CHECK(drain(ring) == "0123456789\nxy\n");
}

TEST_CASE("a line larger than the ring is dropped, also when the ring is empty") {
  log_ring ring(16);
  CHECK_FALSE(ring.push(std::string(17, 'x')));
  CHECK(ring.dropped() == 1);
  CHECK(ring.size() == 0);
}

TEST_CASE("a line may wrap and is then seen in two parts") {
  log_ring ring(16);
  CHECK(ring.push("0123456789\n"));
  CHECK(drain(ring) == "0123456789\n");
  CHECK(ring.push("abcdefgh\n"));
  const log_ring::batch batch = ring.readable();
  CHECK(batch.first == "abcde");
  CHECK(batch.second == "fgh\n");
}

TEST_CASE("a batch stays valid while more lines are pushed") {
  log_ring ring(16);
  CHECK(ring.push("first\n"));
  const log_ring::batch batch = ring.readable();
  CHECK(ring.push("second\n"));
  CHECK(batch.first == "first\n");
  ring.consume(batch.first.size());
  CHECK(drain(ring) == "second\n");
}

TEST_CASE("room appears as bytes are consumed, not only whole batches") {
  log_ring ring(16);
  CHECK(ring.push("0123456789abcde\n"));
  CHECK_FALSE(ring.push("x\n"));
  ring.consume(2);
  CHECK(ring.push("x\n"));
  CHECK(drain(ring) == "23456789abcde\nx\n");
}

TEST_CASE("between two threads no line is lost, torn or counted twice") {
  constexpr std::uint64_t lines = 200'000;
  log_ring ring(1024);
  std::uint64_t pushed = 0;
  std::thread producer([&] {
    for (std::uint64_t i = 0; i < lines; ++i) pushed += ring.push(std::to_string(i) + "\n") ? 1u : 0u;
    while (!ring.push("end\n")) std::this_thread::yield();
  });
  std::uint64_t received = 0;
  std::uint64_t next = 0;  // numbers must rise
  std::string text;
  bool in_order = true;
  for (bool ended = false; !ended;) {
    text = drain(ring);
    for (std::size_t at = 0; at < text.size() && !ended;) {
      const std::size_t end = text.find('\n', at);
      REQUIRE(end != std::string::npos);
      ended = text.compare(at, end - at, "end") == 0;
      if (!ended) {
        const std::uint64_t number = std::stoull(text.substr(at, end - at));
        in_order = in_order && number >= next;
        next = number + 1;
        ++received;
      }
      at = end + 1;
    }
  }
  producer.join();
  CHECK(in_order);
  CHECK(received == pushed);
  CHECK(ring.dropped() >= lines - pushed);
}
