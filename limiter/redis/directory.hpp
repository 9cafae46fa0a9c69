// SPDX-License-Identifier: Apache-2.0
// [I/O] Which node has a slot. One kind per topology: a single server, the master that sentinels name, the
// masters of a cluster. Not thread-safe.
#pragma once

#include "limiter/redis/node.hpp"
#include "limiter/redis/slots.hpp"

#include <memory>

namespace weir::limiter::redis {

class directory_listener {
 public:
  /// available() may say something else than before.
  virtual void on_directory_change() = 0;

 protected:
  ~directory_listener() = default;
};

class directory {
 public:
  virtual ~directory() = default;

  virtual void start() = 0;
  /// True when slots are on different nodes; otherwise find() is asked about slot 0.
  [[nodiscard]] virtual bool splits() const noexcept = 0;
  /// Null: nobody is known, see absence().
  [[nodiscard]] virtual node* find(std::uint16_t slot) = 0;
  [[nodiscard]] virtual errc absence() const noexcept = 0;
  /// A node said that a slot is elsewhere: who has to be asked now. Null: such an answer makes no sense here.
  [[nodiscard]] virtual node* follow(const redirection& where, const redis_address& from) = 0;
  /// A node said that the cluster as a whole is not well.
  virtual void doubt() = 0;
  /// New credentials or certificates.
  virtual void update(std::shared_ptr<const session_plan> plan) = 0;
  /// Every slot has a node that is expected to answer.
  [[nodiscard]] virtual bool available() const noexcept = 0;
  virtual void shutdown() = 0;
};

/// `dials`: as for nodes. `listener` outlives the directory up to shutdown().
[[nodiscard]] std::shared_ptr<directory> make_directory(std::shared_ptr<node_environment> environment,
                                                        std::shared_ptr<const session_plan> plan,
                                                        std::shared_ptr<dial_limiter> dials,
                                                        directory_listener& listener);
[[nodiscard]] std::shared_ptr<directory> make_sentinel_directory(
    std::shared_ptr<node_environment> environment, std::shared_ptr<const session_plan> plan,
    std::shared_ptr<dial_limiter> dials, directory_listener& listener);
[[nodiscard]] std::shared_ptr<directory> make_cluster_directory(std::shared_ptr<node_environment> environment,
                                                                std::shared_ptr<const session_plan> plan,
                                                                std::shared_ptr<dial_limiter> dials,
                                                                directory_listener& listener);

}  // namespace weir::limiter::redis
