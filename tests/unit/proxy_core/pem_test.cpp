// SPDX-License-Identifier: Apache-2.0
#include "proxy/tls/pem.hpp"

#include "tests/support/test_certificate.hpp"

#include <ctime>
#include <doctest/doctest.h>

using namespace weir::proxy::tls;
using weir::tests::test_certificate;

TEST_CASE("a chain with the key of its leaf is a pair") {
  const test_certificate authority;
  const test_certificate leaf("DNS:a.example", &authority);
  CHECK(pair_problem(leaf.certificate(), leaf.key()) == "");
  CHECK(pair_problem(leaf.certificate() + authority.certificate(), leaf.key()) == "");
  CHECK(pair_problem("notes in front\n" + leaf.certificate(), "more notes\n" + leaf.key()) == "");
}

TEST_CASE("what is no pair says why and quotes nothing") {
  const test_certificate authority;
  const test_certificate leaf("DNS:a.example", &authority);
  CHECK(pair_problem(leaf.certificate(), authority.key()) == "the key is not that of the certificate");
  CHECK(pair_problem(authority.certificate() + leaf.certificate(), leaf.key()) ==
        "the key is not that of the certificate");
  const std::string no_certificate = "the certificate file holds no usable certificate in PEM form";
  CHECK(pair_problem("", leaf.key()) == no_certificate);
  CHECK(pair_problem(leaf.key(), leaf.key()) == no_certificate);
  CHECK(pair_problem(leaf.certificate().substr(0, 200), leaf.key()) == no_certificate);
  std::string damaged = leaf.certificate();
  damaged[40] = '!';
  CHECK(pair_problem(damaged, leaf.key()) == no_certificate);
  CHECK(pair_problem(leaf.certificate() + damaged, leaf.key()) == no_certificate);
  const std::string no_key = "the key file holds no usable private key in PEM form without a passphrase";
  CHECK(pair_problem(leaf.certificate(), "") == no_key);
  CHECK(pair_problem(leaf.certificate(), leaf.certificate()) == no_key);
  CHECK(pair_problem(leaf.certificate(), leaf.encrypted_key()) == no_key);  // and asks nobody
}

TEST_CASE("certificates are read in order, all or none") {
  const test_certificate a;
  const test_certificate b("DNS:b", &a);
  CHECK(parse_certificates(a.certificate() + b.certificate() + a.certificate()).size() == 3);
  CHECK(parse_certificates(a.certificate() + b.certificate().substr(0, 300)).empty());
  CHECK(parse_certificates("").empty());
}

TEST_CASE("the end of a certificate is that of the leaf") {
  const test_certificate authority("", nullptr, 1000);
  const test_certificate leaf("DNS:a.example", &authority, 500);
  const std::int64_t now = std::time(nullptr);
  const std::int64_t end = expiry_s(leaf.certificate() + authority.certificate());
  CHECK(end > now + 490);
  CHECK(end < now + 510);
  CHECK(expiry_s("") == 0);
}
