// SPDX-License-Identifier: Apache-2.0
#include "proxy/runtime/bound_listeners.hpp"

#include "proxy/downstream/listener.hpp"

#include <algorithm>
#include <unistd.h>
#include <utility>

namespace weir::proxy {

bound_listeners::~bound_listeners() {
  for (const std::vector<int>& set : by_worker_) {
    for (const int fd : set) {
      if (fd >= 0) ::close(fd);
    }
  }
}

void bound_listeners::bind(const std::vector<listener_settings>& wanted,
                           const std::vector<listener_settings>& running) {
  for (const listener_settings& listener : wanted) {
    const bool runs = std::any_of(running.begin(), running.end(), [&](const listener_settings& other) {
      return same_socket(other, listener);
    });
    for (std::size_t w = 0; w < by_worker_.size(); ++w) {
      // A unix socket has one queue for all workers.
      const bool shared = !listener.address.unix_path.empty() && w > 0;
      const int fd = runs ? -1 : shared ? ::dup(by_worker_[0].back()) : bind_listener(listener.address);
      by_worker_[w].push_back(fd);
    }
  }
}

std::vector<int> bound_listeners::take(std::size_t worker) {
  return std::exchange(by_worker_[worker], {});
}

}  // namespace weir::proxy
