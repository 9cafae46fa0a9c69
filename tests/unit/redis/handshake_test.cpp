// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/handshake.hpp"

#include <doctest/doctest.h>
#include <string>

using weir::limiter::errc;
using namespace weir::limiter::redis;
using progress = handshake::progress;

namespace {

reply make(reply::kind type, std::string text) {
  return {.type = type, .text = std::move(text), .integers = {}};
}
reply status() {
  return make(reply::kind::status, "OK");
}
reply error(std::string text) {
  return make(reply::kind::error, std::move(text));
}
reply info(const std::string& version) {
  return make(reply::kind::bulk, "# Server\r\nredis_version:" + version + "\r\nredis_mode:standalone\r\n");
}

const login full{.username = "weir", .password = "hunter2", .database = 3, .only_master = false};

}  // namespace

TEST_CASE("a handshake says AUTH, SELECT, INFO twice and SCRIPT LOAD at once") {
  std::string out;
  handshake talk(full, "return 1", "sha", out);
  CHECK(out ==
        "*3\r\n$4\r\nAUTH\r\n$4\r\nweir\r\n$7\r\nhunter2\r\n"
        "*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n"
        "*2\r\n$4\r\nINFO\r\n$6\r\nserver\r\n"
        "*2\r\n$4\r\nINFO\r\n$6\r\nmemory\r\n"
        "*3\r\n$6\r\nSCRIPT\r\n$4\r\nLOAD\r\n$8\r\nreturn 1\r\n");
  CHECK(talk.on_reply(status()) == progress::more);
  CHECK(talk.on_reply(status()) == progress::more);
  CHECK(talk.on_reply(info("7.0.15")) == progress::more);
  CHECK(talk.on_reply(make(reply::kind::bulk, "maxmemory_policy:allkeys-lru\r\n")) == progress::more);
  CHECK(talk.on_reply(make(reply::kind::bulk, "sha")) == progress::done);
  CHECK(talk.memory_policy() == "allkeys-lru");
}

TEST_CASE("a handshake that was told where asks since when there is data") {
  std::string out;
  handshake talk({}, "s", "sha", out, "rl:1:{members}:since");
  CHECK(out.ends_with("$1\r\n1\r\n$20\r\nrl:1:{members}:since\r\n"));
  CHECK(talk.on_reply(info("7.0.15")) == progress::more);
  CHECK(talk.on_reply(make(reply::kind::bulk, "")) == progress::more);
  CHECK(talk.on_reply(make(reply::kind::bulk, "sha")) == progress::more);
  SUBCASE("and takes the answer") {
    CHECK(talk.on_reply({.type = reply::kind::integer, .text = {}, .integers = {17}}) == progress::done);
    CHECK(talk.since_us() == 17);
  }
  SUBCASE("and no other than an instant") {
    CHECK(talk.on_reply({.type = reply::kind::integer, .text = {}, .integers = {0}}) == progress::failed);
    CHECK(talk.failure() == errc::protocol);
  }
  SUBCASE("and is told of an error") {
    CHECK(talk.on_reply(error("NOPERM no")) == progress::failed);
    CHECK(talk.cause() == "EVAL refused: NOPERM");
  }
}

TEST_CASE("a handshake that wants a master asks for the role and refuses a replica") {
  for (const auto& [role, expected] :
       {std::pair{"*3\r\n$6\r\nmaster\r\n:7\r\n*1\r\n*3\r\n$1\r\nh\r\n$1\r\n1\r\n$1\r\n0\r\n",
                  progress::more},
        std::pair{"*5\r\n$5\r\nslave\r\n$1\r\nh\r\n:1\r\n$9\r\nconnected\r\n:0\r\n", progress::failed},
        std::pair{"*0\r\n", progress::failed}, std::pair{"-NOPERM no\r\n", progress::failed}}) {
    CAPTURE(role);
    std::string out;
    handshake talk({.username = "", .password = "", .database = 0, .only_master = true}, "s", "sha", out);
    CHECK(out.find("ROLE") != std::string::npos);
    REQUIRE(talk.on_reply(info("7.0.0")) == progress::more);
    REQUIRE(talk.on_reply(info("7.0.0")) == progress::more);
    REQUIRE(talk.expects_role());
    reply_scanner scanner;
    REQUIRE(scanner.scan(role) == reply_scanner::progress::complete);
    CHECK(talk.on_role(scanner.reply()) == expected);
  }
}

TEST_CASE("without password and database a handshake is INFO and SCRIPT LOAD") {
  std::string out;
  handshake talk({}, "s", "sha", out);
  CHECK(out.starts_with("*2\r\n$4\r\nINFO\r\n"));
  CHECK(talk.on_reply(info("6.2.0")) == progress::more);
  CHECK(talk.on_reply(make(reply::kind::bulk, "")) == progress::more);
  CHECK(talk.memory_policy().empty());
  CHECK(talk.on_reply(make(reply::kind::bulk, "sha")) == progress::done);
}

TEST_CASE("a password alone logs in the default user and the database may stay") {
  std::string out;
  handshake talk({.username = "", .password = "pw", .database = 0, .only_master = false}, "s", "sha", out);
  CHECK(out.starts_with("*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n*2\r\n$4\r\nINFO\r\n"));
  CHECK(talk.on_reply(status()) == progress::more);
  CHECK(talk.on_reply(info("8.0")) == progress::more);
}

TEST_CASE("servers of 32 bits are refused: the script's integers are longer") {
  for (const bool narrow : {true, false}) {
    std::string out;
    handshake talk({}, "s", "sha", out);
    const std::string bits = narrow ? "32" : "64";
    CHECK(talk.on_reply(info("7.0.15\r\narch_bits:" + bits)) == (narrow ? progress::failed : progress::more));
    if (narrow) CHECK(talk.cause().find("64 bits") != std::string::npos);
  }
}

TEST_CASE("servers older than 6.2 are refused with their version") {
  for (const std::string version : {"6.0.16", "5.0.3", "2.8", "x"}) {
    CAPTURE(version);
    std::string out;
    handshake talk({}, "s", "sha", out);
    CHECK(talk.on_reply(info(version)) == progress::failed);
    CHECK(talk.failure() == errc::refused);
    CHECK(talk.cause().find("is too old: Redis 6.2 or newer is needed") != std::string::npos);
  }
  for (const std::string version : {"6.2.0", "7.0", "10.1.0"}) {
    CAPTURE(version);
    std::string out;
    handshake talk({}, "s", "sha", out);
    CHECK(talk.on_reply(info(version)) == progress::more);
  }
}

TEST_CASE("a refused login is an auth failure and its text stays out of the log") {
  for (const std::string text :
       {"WRONGPASS invalid username-password pair", "NOAUTH Authentication required.",
        "ERR unknown command `AUTH`, with args beginning with: `hunter2`"}) {
    CAPTURE(text);
    std::string out;
    handshake talk(full, "s", "sha", out);
    CHECK(talk.on_reply(error(text)) == progress::failed);
    CHECK(talk.failure() == errc::auth);
    CHECK(talk.cause().find("AUTH refused") != std::string::npos);
    CHECK(talk.cause().find("hunter2") == std::string::npos);
  }
}

TEST_CASE("errors of later steps keep their own kind") {
  std::string out;
  handshake talk({}, "s", "sha", out);
  CHECK(talk.on_reply(error("LOADING Redis is loading the dataset in memory")) == progress::failed);
  CHECK(talk.failure() == errc::loading);
  CHECK(talk.cause() == "INFO refused: LOADING");
}

TEST_CASE("replies of the wrong shape end a handshake") {
  const auto fails = [](const login& credentials, const reply& answer) {
    std::string out;
    handshake talk(credentials, "s", "sha", out);
    return talk.on_reply(answer) == progress::failed && talk.failure() == errc::protocol;
  };
  CHECK(fails(full, make(reply::kind::bulk, "OK")));
  CHECK(fails({}, status()));
  std::string out;
  handshake talk({}, "s", "sha", out);
  REQUIRE(talk.on_reply(info("7.0.0")) == progress::more);
  REQUIRE(talk.on_reply(info("7.0.0")) == progress::more);
  CHECK(talk.on_reply(make(reply::kind::bulk, "another sha")) == progress::failed);
  CHECK(talk.failure() == errc::protocol);
}
