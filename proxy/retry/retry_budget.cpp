// SPDX-License-Identifier: Apache-2.0
#include "proxy/retry/retry_budget.hpp"

namespace weir::proxy {
namespace {

constexpr std::int64_t bucket_us = 1'000'000;

}  // namespace

retry_budget::bucket& retry_budget::at(std::int64_t now_us) noexcept {
  const std::int64_t second = now_us / bucket_us;
  bucket& b = window_[static_cast<std::size_t>(second % buckets)];
  if (b.second != second) b = {second, 0, 0};
  return b;
}

void retry_budget::request(std::int64_t now_us) noexcept {
  ++at(now_us).requests;
}

bool retry_budget::allows_retry(std::int64_t now_us) const noexcept {
  const std::int64_t oldest = now_us / bucket_us - buckets + 1;
  std::int64_t requests = 0;
  std::int64_t retries = 0;
  for (const bucket& b : window_) {
    if (b.second < oldest) continue;
    requests += b.requests;
    retries += b.retries;
  }
  const std::int64_t share_x100 = requests * percent_;
  if ((retries + 1) * 100 <= share_x100) return true;
  const bool quiet = requests < few_requests && share_x100 < std::int64_t{minimum_} * 100;
  return quiet && active_ < minimum_;
}

bool retry_budget::try_retry(std::int64_t now_us) noexcept {
  if (!allows_retry(now_us)) return false;
  ++at(now_us).retries;
  ++active_;
  return true;
}

void retry_budget::finished() noexcept {
  --active_;
}

}  // namespace weir::proxy
