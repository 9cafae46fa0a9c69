// SPDX-License-Identifier: Apache-2.0
// Fast pseudo-random numbers for request ids, jitter and balancing: xoshiro256** (Blackman, Vigna 2018),
// seeded from the kernel. Not for secrets.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <random>

namespace weir::proxy {

__extension__ using wide = unsigned __int128;

class random_source {
 public:
  random_source() {
    std::random_device device;
    for (std::uint64_t& word : state_) word = (std::uint64_t{device()} << 32) | device();
  }
  explicit random_source(std::uint64_t seed) noexcept {
    for (std::uint64_t& word : state_) {  // splitmix64 spreads a small seed over the state
      std::uint64_t z = (seed += 0x9e3779b97f4a7c15ull);
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
      z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
      word = z ^ (z >> 31);
    }
  }

  [[nodiscard]] std::uint64_t next() noexcept {
    const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

  /// Uniform in [0, bound); 0 for bound 0. Lemire's multiply-shift; the bias is below 2^-32 for bounds below
  /// 2^32.
  [[nodiscard]] std::uint64_t below(std::uint64_t bound) noexcept {
    return static_cast<std::uint64_t>((static_cast<wide>(next()) * bound) >> 64);
  }

 private:
  std::array<std::uint64_t, 4> state_;
};

}  // namespace weir::proxy
