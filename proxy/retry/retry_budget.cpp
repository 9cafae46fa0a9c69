// SPDX-License-Identifier: Apache-2.0
#include "proxy/retry/retry_budget.hpp"

#include <algorithm>

namespace weir::proxy {
namespace {

constexpr std::int64_t bucket_us = 1'000'000;

}  // namespace

retry_budget::bucket& retry_budget::at(std::int64_t now_us) noexcept {
  const std::int64_t second = now_us / bucket_us;
  bucket& b = window_[static_cast<std::size_t>(second % buckets)];
  if (b.second != second) b = {.second = second};
  return b;
}

retry_budget::totals retry_budget::window(std::int64_t now_us) const noexcept {
  const std::int64_t second = now_us / bucket_us;
  totals t;
  for (const bucket& b : window_) {
    if (b.second <= second - buckets) continue;
    t.requests += b.requests;
    t.earlier += b.earlier;
    t.retries += b.retries;
    t.futile += b.futile;
    if (b.second >= second - 1) t.latest_requests += b.requests;
  }
  return t;
}

bool retry_budget::share_allows(const totals& t) const noexcept {
  const std::int64_t requests = t.retries == 0 ? t.requests : std::max(t.requests - t.earlier, head_start_);
  return (t.retries + 1) * 100 <= requests * percent_;
}

bool retry_budget::minimum_allows(const totals& t) const noexcept {
  const bool mostly_futile = t.futile * 2 > t.retries + minimum_;
  return active_ < minimum_ && !mostly_futile;
}

void retry_budget::request(std::int64_t now_us) noexcept {
  ++at(now_us).requests;
}

bool retry_budget::try_retry(std::int64_t now_us) noexcept {
  const totals t = window(now_us);
  if (!share_allows(t) && !minimum_allows(t)) return false;
  if (t.retries == 0) {
    head_start_ = t.latest_requests;
    for (bucket& b : window_) b.earlier = b.requests;
  }
  ++at(now_us).retries;
  ++active_;
  return true;
}

void retry_budget::futile(std::int64_t now_us) noexcept {
  ++at(now_us).futile;
}

void retry_budget::finished() noexcept {
  --active_;
}

}  // namespace weir::proxy
