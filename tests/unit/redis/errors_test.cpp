// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/errors.hpp"

#include <doctest/doctest.h>
#include <string>
#include <string_view>
#include <utility>

using weir::limiter::errc;
using weir::limiter::redis::classify_error;
using weir::limiter::redis::error_code;

TEST_CASE("error replies become the limiter's errors") {
  const std::pair<std::string_view, errc> cases[] = {
      {"NOSCRIPT No matching script. Please use EVAL.", errc::noscript},
      {"READONLY You can't write against a read only replica.", errc::readonly},
      {"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", errc::readonly},
      {"LOADING Redis is loading the dataset in memory", errc::loading},
      {"MOVED 3999 127.0.0.1:6381", errc::moved},
      {"ASK 3999 127.0.0.1:6381", errc::moved},
      {"TRYAGAIN Multiple keys request during rehashing of slot", errc::moved},
      {"CROSSSLOT Keys in request don't hash to the same slot", errc::moved},
      {"CLUSTERDOWN Hash slot not served", errc::moved},
      {"OOM command not allowed when used memory > 'maxmemory'. script: 2b, on @user_script:1.", errc::oom},
      {"BUSY Redis is busy running a script. You can only call SCRIPT KILL.", errc::busy},
      {"NOAUTH Authentication required.", errc::auth},
      {"WRONGPASS invalid username-password pair or user is disabled.", errc::auth},
      {"NOPERM this user has no permissions to run the 'evalsha' command", errc::auth},
      {"DENIED Redis is running in protected mode", errc::auth},
      {"MISCONF Redis is configured to save RDB snapshots, but cannot", errc::script},
      {"NOREPLICAS Not enough good replicas to write.", errc::script},
      {"ERR max number of clients reached", errc::refused},
      {"ERR user_script:1: invalid quota", errc::script},
      {"", errc::script},
      {"OOMX", errc::script},
  };
  for (const auto& [text, expected] : cases) {
    CAPTURE(text);
    CHECK(classify_error(text) == expected);
  }
}

TEST_CASE("an error inside a script keeps its code where the server wraps it") {
  const std::string wrapped = "ERR Error running script (call to f_2b): @user_script:17: @user_script: 17: ";
  CHECK(classify_error(wrapped + "-OOM command not allowed when used memory > 'maxmemory'.") == errc::oom);
  CHECK(classify_error(wrapped + "-READONLY You can't write against a read only replica.") == errc::readonly);
  CHECK(classify_error(wrapped + "attempt to index a nil value") == errc::script);
  CHECK(classify_error("ERR The user executing the script can't run this command or subcommand script: 2b") ==
        errc::auth);
}

TEST_CASE("an error code is the first word, bounded") {
  CHECK(error_code("WRONGPASS invalid secret") == "WRONGPASS");
  CHECK(error_code("READONLY") == "READONLY");
  CHECK(error_code("") == "");
  CHECK(error_code(std::string(100, 'x')).size() == 32);
}

TEST_CASE("a call for another calendar window carries the store's clock") {
  using weir::limiter::redis::window_error_now;
  CHECK(weir::limiter::redis::classify_error("WINDOW 1800000000000000") == weir::limiter::errc::window);
  CHECK(window_error_now("WINDOW 1800000000000000") == 1'800'000'000'000'000);
  for (const char* text : {"WINDOW", "WINDOW ", "WINDOW x", "WINDOW -5", "WINDOW 0", "WINDOW 18 ",
                           "WINDOW 9007199254740992", "OOM 1800000000000000"}) {
    CAPTURE(text);
    CHECK_FALSE(window_error_now(text));
  }
}
