// SPDX-License-Identifier: Apache-2.0
#include "proxy/http/upstream_hints.hpp"

#include <doctest/doctest.h>

using namespace weir::http;

TEST_CASE("a connection is used a second less than Keep-Alive promises") {
  CHECK(keep_alive_us("timeout=5") == 4'000'000);
  CHECK(keep_alive_us("timeout=5, max=1000") == 4'000'000);
  CHECK(keep_alive_us("max=3 ,\tTimeout=60") == 59'000'000);
  CHECK(keep_alive_us("timeout=1") == 0);
  CHECK(keep_alive_us("timeout=0") == 0);
}

TEST_CASE("a Keep-Alive that cannot be understood promises nothing") {
  for (const char* value : {"", "max=5", "timeout", "timeout=", "timeout=-1", "timeout=5s",
                            "timeout=99999999999", "xtimeout=5", "timeout =5"})
    CHECK(keep_alive_us(value) == -1);
}

TEST_CASE("Retry-After is seconds or a date") {
  constexpr std::int64_t now = 784'111'777;  // Sun, 06 Nov 1994 08:49:37 GMT
  CHECK(retry_after_us("120", now) == 120'000'000);
  CHECK(retry_after_us("0", now) == 0);
  CHECK(retry_after_us("Sun, 06 Nov 1994 08:49:37 GMT", now) == 0);
  CHECK(retry_after_us("Sun, 06 Nov 1994 08:49:37 GMT", now - 90) == 90'000'000);
  CHECK(retry_after_us("Sun, 06 Nov 1994 08:49:37 GMT", now + 90) == 0);
  CHECK(retry_after_us("Thu, 29 Feb 2024 00:00:00 GMT", 1'709'164'799) == 1'000'000);
}

TEST_CASE("anything else in Retry-After is ignored") {
  for (const char* value :
       {"", "-1", "+1", "1.5", "99999999999", "soon", "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994", "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 30 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 nov 1994 08:49:37 GMT", "Sun, 0x Nov 1994 08:49:37 GMT"})
    CHECK(retry_after_us(value, 0) == -1);
}
