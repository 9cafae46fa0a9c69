// SPDX-License-Identifier: Apache-2.0
#include "proxy/tls/peer_names.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string>
#include <string_view>

namespace weir::proxy::tls {
namespace {

constexpr std::size_t name_size_max = 1024;

std::string acceptable(const char* data, std::size_t size) {
  const std::string_view name(data, size);
  if (size > name_size_max || name.find('\0') != std::string_view::npos) return {};
  return std::string(name);
}

std::string subject_of(const X509* certificate) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> memory(BIO_new(BIO_s_mem()), BIO_free);
  if (!memory) return {};
  // RFC 2253 escapes every byte that is not plain
  if (X509_NAME_print_ex(memory.get(), X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) < 0) return {};
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &data);
  return size > 0 ? acceptable(data, static_cast<std::size_t>(size)) : std::string();
}

std::string alternative_name(const X509* certificate, int type) {
  const std::unique_ptr<GENERAL_NAMES, decltype(&GENERAL_NAMES_free)> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)),
      GENERAL_NAMES_free);
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    int kind = 0;
    const void* value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names.get(), i), &kind);
    if (kind != type) continue;
    const auto* text = static_cast<const ASN1_STRING*>(value);
    return acceptable(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                      static_cast<std::size_t>(ASN1_STRING_length(text)));
  }
  return {};
}

}  // namespace

std::unique_ptr<const identity::peer_names> verified_peer(const SSL* ssl) {
  const X509* certificate = SSL_get0_peer_certificate(ssl);
  if (certificate == nullptr || SSL_get_verify_result(ssl) != X509_V_OK) return nullptr;
  auto names = std::make_unique<identity::peer_names>();
  names->subject = subject_of(certificate);
  names->san_dns = alternative_name(certificate, GEN_DNS);
  names->san_uri = alternative_name(certificate, GEN_URI);
  ERR_clear_error();
  return names;
}

}  // namespace weir::proxy::tls
