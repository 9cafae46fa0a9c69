// SPDX-License-Identifier: Apache-2.0
#include "proxy/tls/pem.hpp"

#include <ctime>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

namespace weir::proxy::tls {
namespace {

struct bio_deleter {
  void operator()(BIO* bio) const noexcept { BIO_free(bio); }
};

std::unique_ptr<BIO, bio_deleter> reader(std::string_view pem) {
  return std::unique_ptr<BIO, bio_deleter>(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

/// Instead of OpenSSL's own, which asks at the terminal.
int no_passphrase(char*, int, int, void*) {
  return -1;
}

}  // namespace

void x509_deleter::operator()(X509* certificate) const noexcept {
  X509_free(certificate);
}

void pkey_deleter::operator()(EVP_PKEY* key) const noexcept {
  EVP_PKEY_free(key);
}

std::vector<x509_ptr> parse_certificates(std::string_view pem) {
  ERR_clear_error();
  std::vector<x509_ptr> all;
  const auto in = reader(pem);
  while (x509_ptr one{PEM_read_bio_X509(in.get(), nullptr, no_passphrase, nullptr)})
    all.push_back(std::move(one));
  const bool at_the_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (!at_the_end) all.clear();
  return all;
}

pkey_ptr parse_private_key(std::string_view pem) {
  pkey_ptr key{PEM_read_bio_PrivateKey(reader(pem).get(), nullptr, no_passphrase, nullptr)};
  ERR_clear_error();
  return key;
}

std::string pair_problem(std::string_view certificate, std::string_view key) {
  const std::vector<x509_ptr> chain = parse_certificates(certificate);
  if (chain.empty()) return "the certificate file holds no usable certificate in PEM form";
  const pkey_ptr own = parse_private_key(key);
  if (!own) return "the key file holds no usable private key in PEM form without a passphrase";
  const bool fits = X509_check_private_key(chain.front().get(), own.get()) == 1;
  ERR_clear_error();
  return fits ? "" : "the key is not that of the certificate";
}

std::int64_t expiry_s(std::string_view certificate) {
  const std::vector<x509_ptr> chain = parse_certificates(certificate);
  std::tm end{};
  if (chain.empty() || ASN1_TIME_to_tm(X509_get0_notAfter(chain.front().get()), &end) != 1) return 0;
  return ::timegm(&end);
}

}  // namespace weir::proxy::tls
