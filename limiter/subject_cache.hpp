// SPDX-License-Identifier: Apache-2.0
// Subjects that were hashed lately: most requests come from few keys, and a key that is refused comes back at
// once.
#pragma once

#include "limiter/descriptor.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

namespace weir::limiter {

/// Every encoding has one place, and the newest one there wins: no key can be pushed out by filling a table,
/// and whoever aims at the place of another makes that one pay for its hash, as without a cache. Equal bytes
/// are compared, never a hash of them. Belongs to one thread.
class subject_cache {
 public:
  static constexpr std::size_t places = 4096;  ///< 96 bytes each, made with the first subject
  static constexpr std::size_t longest = 73;   ///< bytes of an encoding; longer ones are hashed anew

  /// What hash_subject() says.
  [[nodiscard]] subject_key find(std::string_view encoding);

  /// Subjects that were hashed, for tests.
  [[nodiscard]] std::uint64_t hashed() const noexcept { return hashed_; }

 private:
  struct place {
    std::uint8_t size = 0;  // 0 = empty
    std::array<char, longest> encoding;
    subject_key subject;
  };

  std::unique_ptr<place[]> places_;
  std::uint64_t hashed_ = 0;
};

}  // namespace weir::limiter
