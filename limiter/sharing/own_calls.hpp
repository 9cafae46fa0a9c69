// SPDX-License-Identifier: Apache-2.0
// Calls that no request waits for: units given back, usage reported.
#pragma once

#include "limiter/store.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace weir::limiter {

/// Sends each call once, whatever becomes of it. Keeps copies of the charges and of their rules until the
/// answer, so that both may outlive the request and its policy. Not thread-safe.
class own_calls {
 public:
  /// At most `most` calls are under way at once. `to` must outlive the object.
  own_calls(store& to, std::size_t most);
  ~own_calls();
  own_calls(const own_calls&) = delete;
  own_calls& operator=(const own_calls&) = delete;

  /// False, and nothing is sent, when too many calls are under way. `charges` must not be empty.
  bool send(operation op, std::span<const charge> charges);

  [[nodiscard]] std::size_t under_way() const noexcept { return calls_.size() - idle_.size(); }
  [[nodiscard]] bool full() const noexcept { return under_way() >= most_; }

 private:
  struct call;
  [[nodiscard]] std::shared_ptr<const rule> copy_of(const charge& c);

  store& to_;
  std::size_t most_;
  std::vector<std::shared_ptr<const rule>> rules_;  // by index, the copy made last
  std::vector<std::unique_ptr<call>> calls_;        // all
  std::vector<call*> idle_;
};

}  // namespace weir::limiter
