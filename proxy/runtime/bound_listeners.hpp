// SPDX-License-Identifier: Apache-2.0
// Listening sockets between their making, which may fail, and their workers.
#pragma once

#include "proxy/settings.hpp"

#include <cstddef>
#include <vector>

namespace weir::proxy {

/// Closes what it still holds; the workers take the descriptors over one by one.
class bound_listeners {
 public:
  explicit bound_listeners(std::size_t workers) : by_worker_(workers) {}
  bound_listeners(const bound_listeners&) = delete;
  bound_listeners& operator=(const bound_listeners&) = delete;
  ~bound_listeners();

  /// A descriptor for every worker and listener; none (-1) for those that `running` has already. Throws
  /// std::system_error naming the address that cannot be had.
  void bind(const std::vector<listener_settings>& wanted, const std::vector<listener_settings>& running);
  /// By listener.
  [[nodiscard]] std::vector<int> take(std::size_t worker);

 private:
  std::vector<std::vector<int>> by_worker_;
};

}  // namespace weir::proxy
