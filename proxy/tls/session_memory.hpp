// SPDX-License-Identifier: Apache-2.0
// What shortens the next handshake with one peer.
#pragma once

#include <cstdint>
#include <memory>

struct ssl_session_st;  // SSL_SESSION; <openssl/ssl.h> is for the files that use it

namespace weir::proxy::tls {

struct ssl_session_deleter {
  void operator()(ssl_session_st* session) const noexcept;
};

/// The newest session that a peer lets us resume: one, whatever it offers. Who resumes shows no certificate,
/// so a proof of who the peer is serves for an hour and no longer. Of one thread; outlives the connections
/// that learn for it.
class session_memory {
 public:
  static constexpr std::int64_t proof_lifetime_us = 3'600'000'000;

  /// Takes the session over.
  void learn(ssl_session_st* session) noexcept { newest_.reset(session); }
  /// For a handshake that begins now; null: it must be a full one.
  [[nodiscard]] ssl_session_st* resumable(std::int64_t now_us) noexcept {
    if (now_us >= proven_us_ + proof_lifetime_us) forget();
    return newest_.get();
  }
  /// A handshake succeeded; `resumed`: without a certificate.
  void shaken_hands(bool resumed, std::int64_t now_us) noexcept {
    if (!resumed) proven_us_ = now_us;
  }
  /// A handshake failed: the next one begins from nothing.
  void forget() noexcept { newest_.reset(); }

 private:
  std::unique_ptr<ssl_session_st, ssl_session_deleter> newest_;
  std::int64_t proven_us_ = 0;  // when a peer last showed its certificate
};

}  // namespace weir::proxy::tls
