// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/sentinel_search.hpp"

#include <algorithm>
#include <charconv>
#include <string>

namespace weir::limiter::redis {

std::optional<redis_address> parse_master_address(const scanned_reply& reply) {
  const auto& tokens = reply.tokens;
  if (tokens.size() != 3 || tokens[0].type != reply_token::kind::array || tokens[0].number != 2)
    return std::nullopt;
  if (tokens[1].type != reply_token::kind::text || tokens[2].type != reply_token::kind::text)
    return std::nullopt;
  redis_address address;
  address.host = reply.text(tokens[1]);
  const std::string_view port = reply.text(tokens[2]);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (error != std::errc{} || end != port.data() + port.size() || address.port == 0 || address.host.empty())
    return std::nullopt;
  return address;
}

sentinel_search::clock::duration sentinel_search::failed(double random) noexcept {
  at_ = (at_ + 1) % sentinels_.size();
  if (++tried_ < sentinels_.size()) return clock::duration::zero();
  tried_ = 0;
  return next_pause(random);
}

sentinel_search::clock::duration sentinel_search::disproved(double random) noexcept {
  // another sentinel may know better
  at_ = (at_ + 1) % sentinels_.size();
  return next_pause(random);
}

sentinel_search::clock::duration sentinel_search::next_pause(double random) noexcept {
  const std::chrono::duration<double, clock::period> pause = pause_ * (0.5 + random / 2);
  pause_ = std::min(pause_ * 2, last_pause);
  return std::chrono::duration_cast<clock::duration>(pause);
}

}  // namespace weir::limiter::redis
