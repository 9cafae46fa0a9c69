// SPDX-License-Identifier: Apache-2.0
#include "proxy/settings.hpp"

#include <doctest/doctest.h>

using weir::proxy::socket_address;

TEST_CASE("a socket address is written as a user would write it") {
  CHECK(socket_address{"127.0.0.1", 80, {}}.text() == "127.0.0.1:80");
  CHECK(socket_address{"api.internal", 8443, {}}.text() == "api.internal:8443");
  CHECK(socket_address{"::1", 65535, {}}.text() == "[::1]:65535");
  CHECK(socket_address{"", 0, "/run/weir.sock"}.text() == "unix:/run/weir.sock");
}
