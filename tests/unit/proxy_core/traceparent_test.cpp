// SPDX-License-Identifier: Apache-2.0
#include "proxy/http/traceparent.hpp"

#include <doctest/doctest.h>
#include <string>

using weir::http::parse_traceparent;

namespace {
const std::string ids = "-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-";
}

TEST_CASE("a valid traceparent names the trace and the caller's span") {
  const std::string value = "00" + ids + "01";
  const auto context = parse_traceparent(value);
  CHECK(context.trace_id == "4bf92f3577b34da6a3ce929d0e0e4736");
  CHECK(context.span_id == "00f067aa0ba902b7");
}

TEST_CASE("of a later version the first four parts are read") {
  CHECK_FALSE(parse_traceparent("01" + ids + "01").trace_id.empty());
  CHECK_FALSE(parse_traceparent("cc" + ids + "01-what-comes").trace_id.empty());
  CHECK(parse_traceparent("cc" + ids + "01what").trace_id.empty());
}

TEST_CASE("anything else is no trace") {
  for (const std::string& bad : {std::string(), "00" + ids, "00" + ids + "1", "00" + ids + "01-x",
                                 "ff" + ids + "01", "0" + ids + "001", "00" + ids + "0G",
                                 std::string("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"),
                                 std::string("00-00000000000000000000000000000000-00f067aa0ba902b7-01"),
                                 std::string("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"),
                                 std::string("00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01")}) {
    CAPTURE(bad);
    CHECK(parse_traceparent(bad).trace_id.empty());
    CHECK(parse_traceparent(bad).span_id.empty());
  }
}
