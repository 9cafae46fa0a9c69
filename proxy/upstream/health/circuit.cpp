// SPDX-License-Identifier: Apache-2.0
#include "proxy/upstream/health/circuit.hpp"

#include <algorithm>

namespace weir::proxy {

// ---- failure_window ----

void failure_window::forget_until(std::int64_t second) noexcept {
  for (std::int64_t s = std::max(second_ + 1, second - seconds + 1); s <= second; ++s) {
    bucket& old = buckets_[static_cast<std::size_t>(s % seconds)];
    attempts_ -= old.attempts;
    failures_ -= old.failures;
    old = {};
  }
  second_ = second;
}

void failure_window::add(bool failed, std::int64_t now_us) noexcept {
  const std::int64_t second = now_us / 1'000'000;
  if (second > second_) forget_until(second);
  bucket& current = buckets_[static_cast<std::size_t>(second_ % seconds)];
  ++current.attempts;
  ++attempts_;
  if (!failed) return;
  ++current.failures;
  ++failures_;
}

// ---- circuit ----

circuit::circuit(const outlier_settings& s) noexcept
    : first_us_(std::chrono::microseconds(s.ejection).count()),
      longest_us_(std::max(first_us_, std::int64_t{std::chrono::microseconds(s.max_ejection).count()})),
      consecutive_limit_(static_cast<std::uint64_t>(s.consecutive_failures)),
      ratio_percent_(static_cast<std::uint64_t>(s.failure_ratio)),
      ratio_minimum_(static_cast<std::uint64_t>(s.min_requests)) {}

bool circuit::begin(std::int64_t now_us) noexcept {
  if (state_ != state::open || now_us < open_until_us_) return false;
  state_ = state::half_open;
  return true;
}

std::optional<eject_reason> circuit::ended(bool failed, std::int64_t now_us) noexcept {
  if (state_ != state::closed) return std::nullopt;
  window_.add(failed, now_us);
  if (!failed) {
    consecutive_ = 0;
    return std::nullopt;
  }
  if (++consecutive_ >= consecutive_limit_) return eject_reason::consecutive_failures;
  const bool mostly = ratio_percent_ > 0 && window_.attempts() >= ratio_minimum_ &&
                      window_.failures() * 100 >= window_.attempts() * ratio_percent_;
  if (mostly) return eject_reason::failure_ratio;
  return std::nullopt;
}

void circuit::eject(std::int64_t now_us) noexcept {
  const bool recovered = last_us_ == 0 || now_us - closed_us_ >= last_us_;
  last_us_ = recovered ? first_us_ : std::min(last_us_ * 2, longest_us_);
  open(now_us);
}

void circuit::probe_ended(probe how, std::int64_t now_us) noexcept {
  switch (how) {
    case probe::good:
      state_ = state::closed;
      closed_us_ = now_us;
      consecutive_ = 0;
      window_.clear();
      break;
    case probe::bad:
      last_us_ = std::min(last_us_ * 2, longest_us_);
      open(now_us);
      break;
    case probe::abandoned:
      state_ = state::open;
      break;
  }
}

void circuit::open(std::int64_t now_us) noexcept {
  state_ = state::open;
  open_until_us_ = now_us + last_us_;
}

}  // namespace weir::proxy
