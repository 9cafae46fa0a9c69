// SPDX-License-Identifier: Apache-2.0
// TLS against a real server, with certificates made for the test.
#include "store_fixture.hpp"
#include "tests/support/redis_server.hpp"

#include <cstdlib>
#include <deque>
#include <doctest/doctest.h>
#include <fstream>
#include <sstream>

using namespace weir::tests;
using weir::limiter::errc;

namespace {

/// An authority, and a server and a client certificate of it, for one run.
struct certificates {
  certificates() {
    std::string pattern = (std::filesystem::temp_directory_path() / "weir-tls-XXXXXX").string();
    folder = ::mkdtemp(pattern.data());
    const std::string script =
        "cd " + folder.string() +
        " && key='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2'"
        " && for ca in ca other; do openssl req -x509 $key -subj /CN=$ca -keyout $ca.key -out $ca.pem; done"
        " && openssl req $key -subj /CN=s -keyout server.key -out server.csr"
        " && printf 'subjectAltName=DNS:redis.test,IP:127.0.0.1' >ext"
        " && openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext "
        "-out server.pem"
        " && openssl req $key -subj /CN=weir -keyout client.key -out client.csr"
        " && openssl x509 -req -in client.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out "
        "client.pem";
    usable = std::system(("( " + script + " ) >/dev/null 2>&1").c_str()) == 0;
  }
  ~certificates() {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }
  [[nodiscard]] std::string path(const std::string& name) const { return (folder / name).string(); }
  [[nodiscard]] std::string text(const std::string& name) const {
    std::ifstream file(path(name));
    std::stringstream all;
    all << file.rdbuf();
    return all.str();
  }
  std::filesystem::path folder;
  bool usable = false;
};

struct fixture : store_fixture {
  fixture()
      : tls_port(free_port()),
        server({"--tls-port", std::to_string(tls_port), "--tls-cert-file", pem.path("server.pem"),
                "--tls-key-file", pem.path("server.key"), "--tls-ca-cert-file", pem.path("ca.pem"),
                "--tls-auth-clients", "yes"}) {
    settings.port = tls_port;
    settings.command_timeout = settings.connect_timeout = 2s;
    settings.tls.enabled = true;
    settings.tls.ca = pem.text("ca.pem");
    settings.tls.certificate = pem.text("client.pem");
    settings.tls.key = pem.text("client.key");
  }
  ~fixture() { store.reset(); }
  bool refused(const std::string& words) {
    log.clear();
    make_store();
    const bool said = run_until([&] { return logged(words); });
    CHECK_FALSE(store->available());
    return said;
  }
  certificates pem;
  std::uint16_t tls_port;
  redis_server server;
};

bool skipped() {
  if (redis_server::installed() && std::system("openssl version >/dev/null 2>&1") == 0) return false;
  MESSAGE("skipped: redis-server or openssl is not installed");
  return true;
}

}  // namespace

TEST_CASE("decisions are made over TLS with a client certificate, by address and by name") {
  if (skipped()) return;
  fixture f;
  REQUIRE(f.pem.usable);
  f.connect();
  CHECK(f.decide() == errc::ok);
  std::deque<waiter> waiters(500);
  for (waiter& w : waiters) f.send(w);
  REQUIRE(f.run_until([&] { return waiters.back().answered(); }));
  for (const waiter& w : waiters) REQUIRE(w.error == errc::ok);
  f.settings.tls.server_name = "redis.test";
  f.settings.tls.only_tls13 = true;
  f.connect();
  CHECK(f.decide() == errc::ok);
}

TEST_CASE("a server that is not who it should be is refused, and so is a client without certificate") {
  if (skipped()) return;
  fixture f;
  const auto good = f.settings;
  f.settings.tls.server_name = "another.test";
  CHECK(f.refused("TLS handshake"));
  f.settings = good;
  f.settings.tls.ca = f.pem.text("other.pem");
  CHECK(f.refused("TLS handshake"));
  f.settings = good;
  f.settings.tls.certificate.clear();
  f.settings.tls.key.clear();
  CHECK(f.refused("cannot connect to redis"));
  f.settings = good;
  f.settings.tls.key = "no key";
  CHECK(f.refused("the TLS files are unusable"));
  f.settings = good;
  f.settings.port = f.server.port();  // speaks no TLS
  CHECK(f.refused("cannot connect to redis"));
  CHECK(f.decide() != errc::ok);
}

TEST_CASE("certificates that a reload brings are used by new connections") {
  if (skipped()) return;
  fixture f;
  const auto good = f.settings;
  f.settings.tls.ca = f.pem.text("other.pem");
  CHECK(f.refused("TLS handshake"));
  const auto begin = std::chrono::steady_clock::now();
  f.store->update(good);
  REQUIRE(f.wait_until_up());
  CHECK(std::chrono::steady_clock::now() - begin < 2s);
  CHECK(f.decide() == errc::ok);
}
