// SPDX-License-Identifier: Apache-2.0
// Connects to whichever of several addresses answers first (RFC 8305, section 5): one is tried, another every
// 250 ms while none has answered, and at once when one fails. A dead first address costs a request 250 ms
// once, not its life.
#pragma once

#include "proxy/runtime/services.hpp"
#include "proxy/runtime/stream_socket.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <sys/socket.h>
#include <vector>

namespace weir::proxy {

/// A resolved address, ready for connect().
struct resolved_address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  friend bool operator==(const resolved_address& a, const resolved_address& b) noexcept;
};

/// Starts a non-blocking connect; -1 and errno when it failed at once.
[[nodiscard]] int begin_connect(const resolved_address& address) noexcept;

/// Told how a race ended, once, and not from inside start().
class race_owner {
 public:
  /// `fd` is connected to `address` and the owner's now.
  virtual void on_race_won(int fd, const resolved_address& address) = 0;
  virtual void on_race_lost() = 0;

 protected:
  ~race_owner() = default;
};

/// Buried, not deleted, by its owner: it may end inside its own callback.
class address_race final : public mortal, private timer {
 public:
  static constexpr std::int64_t head_start_us = 250'000;
  static constexpr std::size_t most_runners = 4;  ///< addresses tried for one connection

  /// `addresses` is not empty; `first` is the index to begin with.
  address_race(services& worker, race_owner& owner, const std::vector<resolved_address>& addresses,
               std::size_t first);

  /// False: every address failed at once.
  [[nodiscard]] bool start();
  /// Gives up: closes every socket, calls nobody.
  void stop() noexcept;

  [[nodiscard]] std::size_t started() const noexcept { return started_; }
  /// How much longer than one connect a race between so many addresses may take.
  [[nodiscard]] static std::int64_t extra_patience_us(std::size_t addresses) noexcept;

 private:
  struct runner final : ready_handler {
    void on_ready(std::uint32_t events) override;
    address_race* race = nullptr;
    std::size_t number = 0;  // into addresses_
    stream_socket socket;
  };

  [[nodiscard]] bool start_next();
  void on_runner(runner& who);
  void on_timer() override;

  services& worker_;
  race_owner& owner_;
  std::vector<resolved_address> addresses_;  // in the order they are tried
  std::array<runner, most_runners> runners_;
  std::size_t started_ = 0, running_ = 0;
};

}  // namespace weir::proxy
