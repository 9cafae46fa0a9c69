// SPDX-License-Identifier: Apache-2.0
// What TLS connections show and whom they trust. Made once per configuration, immutable, shared by all
// workers.
#pragma once

#include "proxy/settings.hpp"
#include "proxy/tls/pem.hpp"
#include "proxy/tls/session_memory.hpp"

#include <memory>
#include <openssl/types.h>
#include <string>
#include <vector>

namespace weir::proxy::tls {

struct ssl_deleter {
  void operator()(SSL* ssl) const noexcept;
};
using ssl_ptr = std::unique_ptr<SSL, ssl_deleter>;

struct ssl_context_deleter {
  void operator()(SSL_CTX* context) const noexcept;
};
using ssl_context_ptr = std::unique_ptr<SSL_CTX, ssl_context_deleter>;

/// The certificates of one listener. The name a client asks for picks the first that is valid for it, else
/// the first of all. Agrees on ALPN `http/1.1`, else `http/1.0`, and refuses clients that offer only others.
/// Sessions are resumed by tickets alone, so nothing is kept per client; not at all when a certificate asks
/// for client certificates: who resumes is not asked again.
class server_context {
 public:
  /// `certificates` not empty. Throws std::runtime_error that says which file cannot be used, without quoting
  /// it.
  explicit server_context(const std::vector<certificate_settings>& certificates);
  server_context(const server_context&) = delete;
  server_context& operator=(const server_context&) = delete;

  /// For one accepted connection; null without memory. `*this` must live until its handshake is over.
  [[nodiscard]] ssl_ptr accept() const noexcept;
  /// When the first of the certificates ends, Unix seconds.
  [[nodiscard]] std::int64_t expiry_s() const noexcept { return expiry_s_; }

 private:
  struct choice {
    ssl_context_ptr context;
    x509_ptr leaf;
    int verify_mode;
    int min_version;
  };
  static int choose(SSL* ssl, int* alert, void* self);

  std::vector<choice> choices_;
  std::int64_t expiry_s_ = 0;
};

/// How one upstream is dialled over TLS.
class client_context {
 public:
  /// Throws std::runtime_error that says what cannot be used.
  explicit client_context(const upstream_tls_settings& settings);

  /// For one connection to `host`, a name or an address without brackets; null without memory. The name of
  /// the settings goes before `host`.
  [[nodiscard]] ssl_ptr connect(const std::string& host) const noexcept;
  /// The same, resuming what `memory` knows, if anything; what this connection learns is kept there.
  [[nodiscard]] ssl_ptr connect(const std::string& host, session_memory& memory,
                                std::int64_t now_us) const noexcept;

 private:
  ssl_context_ptr context_;
  std::string server_name_;
};

/// Every context of one configuration.
struct context_set {
  std::vector<std::shared_ptr<const server_context>> listeners;  ///< by settings::listeners; null: no TLS
  std::vector<std::shared_ptr<const client_context>> upstreams;  ///< by settings::upstreams; null: no TLS
};

/// Contexts whose settings did not change are taken over from `previous`, with the tickets they issued.
/// Both null on the first call. Throws std::runtime_error.
[[nodiscard]] std::shared_ptr<const context_set> make_contexts(const settings& wanted,
                                                               const settings* current,
                                                               const context_set* previous);

}  // namespace weir::proxy::tls
