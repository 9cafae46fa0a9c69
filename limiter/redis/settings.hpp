// SPDX-License-Identifier: Apache-2.0
// How to reach the store: where, as whom, how long, how many.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace weir::limiter {

enum class redis_topology : std::uint8_t { single, sentinel, cluster };

/// A TCP address (name or number), or a unix socket when unix_path is set.
struct redis_address {
  std::string host;
  std::uint16_t port = 6379;
  std::string unix_path;
  [[nodiscard]] std::string text() const {
    return unix_path.empty() ? host + ":" + std::to_string(port) : "unix:" + unix_path;
  }
  friend bool operator==(const redis_address&, const redis_address&) = default;
};

/// Files are held by content, so that comparing settings tells whether a file changed.
struct redis_tls {
  bool enabled = false;
  std::string ca;           ///< PEM; empty = the system's authorities
  std::string server_name;  ///< SNI and the name verified; empty = the host that is dialled
  std::string certificate;  ///< PEM chain; empty = no client certificate
  std::string key;          ///< PEM; never logged
  bool only_tls13 = false;  ///< otherwise 1.2 is accepted, too
  bool verify = true;       ///< chain and name
  friend bool operator==(const redis_tls&, const redis_tls&) = default;
};

/// Failures that take a node out (in a row; or time-outs, see lateness), and the pause between two probes of
/// it.
struct redis_breaker {
  int failures = 5;  ///< >= 1
  std::chrono::milliseconds open_for{1000};
  friend bool operator==(const redis_breaker&, const redis_breaker&) = default;
};

/// Defaults are those of the policy file. All durations > 0.
struct redis_settings {
  redis_topology topology = redis_topology::single;
  std::string host = "127.0.0.1";  ///< single: name or address; empty when unix_path is set
  std::uint16_t port = 6379;
  std::string unix_path;             ///< single: non-empty = unix domain socket
  std::vector<redis_address> nodes;  ///< sentinel: the sentinels; cluster: where to ask for the slots first
  std::string master;                ///< sentinel: name of the watched master
  std::string username;              ///< ACL user; empty = default user
  std::string password;              ///< empty = no AUTH; never logged
  int database = 0;
  redis_tls tls;
  std::string key_prefix = "rl:";
  bool readable_keys =
      false;                 ///< subjects are named by their values where those are short, else by their hash
  bool proxy_clock = false;  ///< decisions by this process' clock: for servers that refuse TIME in scripts
  bool starts_empty =
      false;  ///< a server that came back without data begins with used-up buckets; no cluster
  std::chrono::milliseconds connect_timeout{100};  ///< DNS, connect, TLS, AUTH and SCRIPT LOAD together
  std::chrono::milliseconds command_timeout{50};   ///< from execute() to the answer
  std::size_t max_in_flight = 4096;                ///< beyond: errc::overloaded at once
  int pool_size = 1;                               ///< connections per node, 1 ... 16
  std::chrono::milliseconds recycle{1'800'000};    ///< greatest age of a connection, +- 10 %
  bool pre_ping = true;                            ///< a connection idle for more than 10 s is asked first
  redis_breaker breaker;

  friend bool operator==(const redis_settings&, const redis_settings&) = default;
};

}  // namespace weir::limiter
