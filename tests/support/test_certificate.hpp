// SPDX-License-Identifier: Apache-2.0
// Certificates for tests, made in memory.
#pragma once

#include <memory>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdexcept>
#include <string>

namespace weir::tests {

/// A P-256 key and a certificate for it. Without `issuer` it is an authority that signed itself.
class test_certificate {
 public:
  /// `names`: as in subjectAltName, "DNS:a.example,IP:127.0.0.1". Valid from an hour ago for `seconds` from
  /// now, which may be negative.
  explicit test_certificate(const std::string& names = "", const test_certificate* issuer = nullptr,
                            long seconds = 3600)
      : key_(EVP_EC_gen("P-256")), certificate_(X509_new()) {
    X509* x = certificate_.get();
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), ++last_serial);
    X509_gmtime_adj(X509_getm_notBefore(x), -7200);
    X509_gmtime_adj(X509_getm_notAfter(x), seconds);
    X509_set_pubkey(x, key_.get());
    X509_NAME* subject = X509_get_subject_name(x);
    const std::string name = issuer == nullptr ? "authority" : "subject";
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    const test_certificate& by = issuer == nullptr ? *this : *issuer;
    X509_set_issuer_name(x, X509_get_subject_name(by.certificate_.get()));
    extend(NID_basic_constraints, issuer == nullptr ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (!names.empty()) extend(NID_subject_alt_name, names);
    if (X509_sign(x, by.key_.get(), EVP_sha256()) == 0) throw std::runtime_error("X509_sign");
  }

  [[nodiscard]] std::string certificate() const {
    return text([this](BIO* out) { PEM_write_bio_X509(out, certificate_.get()); });
  }
  [[nodiscard]] std::string key() const {
    return text([this](BIO* out) {
      PEM_write_bio_PrivateKey(out, key_.get(), nullptr, nullptr, 0, nullptr, nullptr);
    });
  }
  [[nodiscard]] std::string encrypted_key() const {
    return text([this](BIO* out) {
      char passphrase[] = "secret";
      PEM_write_bio_PKCS8PrivateKey(out, key_.get(), EVP_aes_128_cbc(), passphrase, 6, nullptr, nullptr);
    });
  }

 private:
  void extend(int kind, const std::string& value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, kind, value.c_str());
    if (extension == nullptr) throw std::runtime_error("X509V3_EXT_conf_nid");
    X509_add_ext(certificate_.get(), extension, -1);
    X509_EXTENSION_free(extension);
  }

  template <class Write>
  static std::string text(Write write) {
    const std::unique_ptr<BIO, decltype(&BIO_free)> out{BIO_new(BIO_s_mem()), &BIO_free};
    write(out.get());
    char* data = nullptr;
    const long size = BIO_get_mem_data(out.get(), &data);
    return {data, static_cast<std::size_t>(size)};
  }

  struct free_key {
    void operator()(EVP_PKEY* k) const noexcept { EVP_PKEY_free(k); }
  };
  struct free_certificate {
    void operator()(X509* x) const noexcept { X509_free(x); }
  };
  static inline long last_serial = 0;
  std::unique_ptr<EVP_PKEY, free_key> key_;
  std::unique_ptr<X509, free_certificate> certificate_;
};

}  // namespace weir::tests
