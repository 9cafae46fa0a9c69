// SPDX-License-Identifier: Apache-2.0
// Subjects that were hashed lately: most requests come from few keys, and a key that is refused comes back at
// once.
#pragma once

#include "limiter/descriptor.hpp"

#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

namespace weir::limiter {

/// Every encoding has two places, and the newest ones there win: no key can be pushed out by filling a table,
/// and whoever aims at the places of another makes that one pay for its hash, as without a cache. Equal bytes
/// are compared, never a hash of them. Rests while most subjects push another one out: to look for one that
/// is not there costs more than to hash it. Belongs to one thread.
class subject_cache {
 public:
  static constexpr std::size_t places = 65536;  ///< 96 bytes each, 6 MiB in all; only what is used is touched
  static constexpr std::size_t longest = 73;    ///< bytes of an encoding; longer ones are hashed anew
  /// When more than half of so many subjects in a row pushed another one out, the next ones are hashed
  /// without looking, so many times as many.
  static constexpr std::uint32_t round = 1024;
  static constexpr std::uint32_t rounds_of_rest = 15;

  /// What hash_subject() says.
  [[nodiscard]] subject_key find(std::string_view encoding);

  /// Subjects that were hashed, for tests.
  [[nodiscard]] std::uint64_t hashed() const noexcept { return hashed_; }

 private:
  struct place {
    std::uint8_t size;  // 0 = empty
    std::array<char, longest> encoding;
    subject_key subject;

    [[nodiscard]] bool holds(std::string_view text) const noexcept {
      return size == text.size() && std::memcmp(encoding.data(), text.data(), size) == 0;
    }
  };
  struct zeroed {
    static place* make();
    void operator()(place* all) const noexcept { std::free(all); }
  };

  [[nodiscard]] bool rests() noexcept;
  subject_key hash(std::string_view encoding) noexcept;

  std::unique_ptr<place[], zeroed> places_;
  std::uint64_t hashed_ = 0;
  std::uint32_t asked_ = 0;  // in this round
  std::uint32_t replaced_ = 0;
  std::uint32_t resting_ = 0;  // subjects to hash without looking
};

}  // namespace weir::limiter
