// SPDX-License-Identifier: Apache-2.0
#include "proxy/tls/context.hpp"

#include <algorithm>
#include <array>
#include <new>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdexcept>
#include <string_view>

namespace weir::proxy::tls {
namespace {

constexpr std::array<unsigned char, 9> http_1_1{8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
constexpr std::array<unsigned char, 18> http_1{8, 'h', 't', 't', 'p', '/', '1', '.', '1',
                                               8, 'h', 't', 't', 'p', '/', '1', '.', '0'};

[[noreturn]] void fail(const std::string& what) {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  throw std::runtime_error(reason == nullptr ? what : what + ": " + reason);
}

ssl_context_ptr make_context(const SSL_METHOD* method, bool only_tls13) {
  ERR_clear_error();
  ssl_context_ptr context{SSL_CTX_new(method)};
  if (!context) throw std::bad_alloc();
  SSL_CTX* c = context.get();
  SSL_CTX_set_min_proto_version(c, only_tls13 ? TLS1_3_VERSION : TLS1_2_VERSION);
  SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                             SSL_OP_PRIORITIZE_CHACHA);
  // An idle connection holds no record buffers; a record may be written again from another place (the bytes
  // of a message stay the same, their copy does not).
  SSL_CTX_set_mode(
      c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(c, 1);
  SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
  return context;
}

void use_pair(SSL_CTX* context, const std::string& certificate, const std::string& key) {
  const std::vector<x509_ptr> chain = parse_certificates(certificate);
  const pkey_ptr own = parse_private_key(key);
  if (chain.empty() || !own) fail(pair_problem(certificate, key));
  if (SSL_CTX_use_certificate(context, chain.front().get()) != 1) fail("a certificate cannot be used");
  for (std::size_t i = 1; i < chain.size(); ++i) {
    if (SSL_CTX_add1_chain_cert(context, chain[i].get()) != 1) fail("a certificate chain cannot be used");
  }
  if (SSL_CTX_use_PrivateKey(context, own.get()) != 1) fail("a private key cannot be used");
}

void trust(SSL_CTX* context, const std::string& authorities) {
  const std::vector<x509_ptr> all = parse_certificates(authorities);
  if (all.empty()) fail("a file of authorities holds no certificate in PEM form");
  for (const x509_ptr& authority : all) X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority.get());
}

/// RFC 7301: a client that speaks only other protocols learns so at once.
int select_protocol(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* offered,
                    unsigned int offered_size, void*) {
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, http_1.data(), http_1.size(), offered, offered_size) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

int verify_mode(client_auth wanted) noexcept {
  switch (wanted) {
    case client_auth::none:
      return SSL_VERIFY_NONE;
    case client_auth::optional:
      return SSL_VERIFY_PEER;
    case client_auth::required:
      break;
  }
  return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
}

/// Whom clients may have their certificates from: told to them, and trusted.
void ask_for_certificates(SSL_CTX* context, const std::string& authorities) {
  trust(context, authorities);
  for (const x509_ptr& authority : parse_certificates(authorities))
    SSL_CTX_add_client_CA(context, authority.get());
}

void forbid_resumption(SSL_CTX* context) {
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
  SSL_CTX_set_num_tickets(context, 0);
}

/// Where a connection keeps its session_memory; null for those that have none.
int memory_index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

int on_new_session(SSL* ssl, SSL_SESSION* session) {
  auto* memory = static_cast<session_memory*>(SSL_get_ex_data(ssl, memory_index()));
  if (memory == nullptr) return 0;
  memory->learn(session);
  return 1;
}

bool asks_for_certificates(const certificate_settings& s) {
  return s.client_auth != client_auth::none;
}

bool uses_tls(const upstream_settings& upstream) {
  return std::any_of(upstream.endpoints.begin(), upstream.endpoints.end(),
                     [](const endpoint_settings& e) { return e.tls; });
}

}  // namespace

void ssl_deleter::operator()(SSL* ssl) const noexcept {
  // A connection that breaks off says nothing against its session (RFC 5246 7.2.1); OpenSSL would forget it.
  SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  SSL_free(ssl);
}

void ssl_context_deleter::operator()(SSL_CTX* context) const noexcept {
  SSL_CTX_free(context);
}

void ssl_session_deleter::operator()(SSL_SESSION* session) const noexcept {
  SSL_SESSION_free(session);
}

server_context::server_context(const std::vector<certificate_settings>& certificates) {
  const bool resumable = std::none_of(certificates.begin(), certificates.end(), asks_for_certificates);
  for (const certificate_settings& s : certificates) {
    choice made{make_context(TLS_server_method(), s.only_tls13), nullptr, verify_mode(s.client_auth),
                s.only_tls13 ? TLS1_3_VERSION : TLS1_2_VERSION};
    SSL_CTX* context = made.context.get();
    use_pair(context, s.certificate, s.key);
    made.leaf = std::move(parse_certificates(s.certificate).front());
    if (asks_for_certificates(s)) ask_for_certificates(context, s.client_ca);
    SSL_CTX_set_verify(context, made.verify_mode, nullptr);
    SSL_CTX_set_alpn_select_cb(context, select_protocol, nullptr);
    SSL_CTX_set_num_tickets(context, 1);
    if (!resumable) forbid_resumption(context);
    const std::int64_t end = tls::expiry_s(s.certificate);
    expiry_s_ = choices_.empty() ? end : std::min(expiry_s_, end);
    choices_.push_back(std::move(made));
  }
  // The version is settled before the name is looked at, so the first context admits what any of them does.
  const auto lowest = std::min_element(choices_.begin(), choices_.end(), [](const auto& a, const auto& b) {
    return a.min_version < b.min_version;
  });
  SSL_CTX* first = choices_.front().context.get();
  SSL_CTX_set_min_proto_version(first, lowest->min_version);
  SSL_CTX_set_tlsext_servername_callback(first, choose);
  SSL_CTX_set_tlsext_servername_arg(first, this);
}

int server_context::choose(SSL* ssl, int* alert, void* self) {
  const auto& choices = static_cast<const server_context*>(self)->choices_;
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  const choice* chosen = &choices.front();
  if (name != nullptr) {
    const auto found = std::find_if(choices.begin(), choices.end(), [name](const choice& c) {
      return X509_check_host(c.leaf.get(), name, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, nullptr) == 1;
    });
    if (found != choices.end()) chosen = &*found;
  }
  if (SSL_version(ssl) < chosen->min_version) {
    *alert = SSL_AD_PROTOCOL_VERSION;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  if (chosen != &choices.front()) {
    SSL_set_SSL_CTX(ssl, chosen->context.get());
    SSL_set_verify(ssl, chosen->verify_mode, nullptr);  // not part of what the line above changes
  }
  return SSL_TLSEXT_ERR_OK;
}

ssl_ptr server_context::accept() const noexcept {
  ssl_ptr ssl{SSL_new(choices_.front().context.get())};
  if (ssl) SSL_set_accept_state(ssl.get());
  return ssl;
}

client_context::client_context(const upstream_tls_settings& s)
    : context_(make_context(TLS_client_method(), s.only_tls13)), server_name_(s.server_name) {
  SSL_CTX* context = context_.get();
  if (!s.ca.empty()) {
    trust(context, s.ca);
  } else if (s.verify && SSL_CTX_set_default_verify_paths(context) != 1) {
    fail("the system's authorities cannot be read");
  }
  if (!s.certificate.empty()) use_pair(context, s.certificate, s.key);
  SSL_CTX_set_verify(context, s.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_alpn_protos(context, http_1_1.data(), http_1_1.size());
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, on_new_session);
  ERR_clear_error();
}

ssl_ptr client_context::connect(const std::string& host) const noexcept {
  ssl_ptr ssl{SSL_new(context_.get())};
  if (!ssl) return ssl;
  SSL_set_connect_state(ssl.get());
  const std::string& name = server_name_.empty() ? host : server_name_;
  X509_VERIFY_PARAM* expected = SSL_get0_param(ssl.get());
  const bool is_address = X509_VERIFY_PARAM_set1_ip_asc(expected, name.c_str()) == 1;
  ERR_clear_error();
  if (is_address) return ssl;  // RFC 6066 3: no SNI for addresses
  X509_VERIFY_PARAM_set_hostflags(expected, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (SSL_set_tlsext_host_name(ssl.get(), name.c_str()) != 1 ||
      X509_VERIFY_PARAM_set1_host(expected, name.c_str(), name.size()) != 1) {
    ssl.reset();
  }
  return ssl;
}

ssl_ptr client_context::connect(const std::string& host, session_memory& memory,
                                std::int64_t now_us) const noexcept {
  ssl_ptr ssl = connect(host);
  if (!ssl) return ssl;
  SSL_SESSION* const known = memory.resumable(now_us);
  if (known != nullptr) SSL_set_session(ssl.get(), known);
  SSL_set_ex_data(ssl.get(), memory_index(), &memory);
  return ssl;
}

std::shared_ptr<const context_set> make_contexts(const settings& wanted, const settings* current,
                                                 const context_set* previous) {
  auto made = std::make_shared<context_set>();
  for (const listener_settings& l : wanted.listeners) {
    std::shared_ptr<const server_context> context;
    for (std::size_t i = 0; previous != nullptr && i < previous->listeners.size(); ++i) {
      if (current->listeners[i].name == l.name && current->listeners[i].tls == l.tls)
        context = previous->listeners[i];
    }
    if (!context && !l.tls.empty()) context = std::make_shared<server_context>(l.tls);
    made->listeners.push_back(std::move(context));
  }
  for (const upstream_settings& u : wanted.upstreams) {
    std::shared_ptr<const client_context> context;
    for (std::size_t i = 0; previous != nullptr && i < previous->upstreams.size(); ++i) {
      if (current->upstreams[i] == u) context = previous->upstreams[i];
    }
    if (!context && uses_tls(u)) context = std::make_shared<client_context>(u.tls);
    made->upstreams.push_back(std::move(context));
  }
  return made;
}

}  // namespace weir::proxy::tls
