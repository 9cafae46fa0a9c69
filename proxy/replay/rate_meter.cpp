// SPDX-License-Identifier: Apache-2.0
#include "proxy/replay/rate_meter.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>

namespace weir::replay {
namespace {

/// The smallest value that at least `per_mille` of the sorted values do not exceed.
std::int64_t percentile(const std::vector<std::int64_t>& sorted, std::size_t per_mille) noexcept {
  const std::size_t rank = (sorted.size() * per_mille + 999) / 1000;
  return sorted[std::max<std::size_t>(rank, 1) - 1];
}

/// The smallest limit that at most `per_mille` of the keys exceed.
std::int64_t limit_exceeded_by(const std::vector<std::int64_t>& sorted, std::size_t per_mille) noexcept {
  const std::size_t allowed = sorted.size() * per_mille / 1000;
  return std::max<std::int64_t>(1, sorted[sorted.size() - 1 - allowed]);
}

}  // namespace

rate_meter::rate_meter(std::int64_t window_us) noexcept
    : part_us_(std::max<std::int64_t>(1, (window_us + parts - 1) / parts)) {}

/// Subjects are hashes already.
std::size_t rate_meter::subject_hash::operator()(const limiter::subject_key& subject) const noexcept {
  std::uint64_t head = 0;
  std::memcpy(&head, subject.text.data(), sizeof head);
  head *= 0x9e3779b97f4a7c15u;
  return static_cast<std::size_t>(head ^ head >> 29);
}

void rate_meter::add(const limiter::subject_key& subject, std::int64_t units, std::int64_t time_us) {
  if ((subject_hash{}(subject)&sample_mask_) != 0) return;
  meter& m = keys_[subject];
  const std::int64_t part = time_us / part_us_;
  constexpr auto size = static_cast<std::int64_t>(parts + 1);
  if (part - m.part >= size) {
    m.units.fill(0);
  } else {
    for (std::int64_t p = m.part + 1; p <= part; ++p) m.units[static_cast<std::size_t>(p % size)] = 0;
  }
  m.part = std::max(m.part, part);
  constexpr std::int64_t most = std::numeric_limits<std::uint32_t>::max();
  std::uint32_t& now = m.units[static_cast<std::size_t>(m.part % size)];
  now = static_cast<std::uint32_t>(std::min<std::int64_t>(now + units, most));
  m.peak = std::max(m.peak, std::accumulate(m.units.begin(), m.units.end(), std::int64_t{0}));
  if (keys_.size() > max_metered_keys) thin_out();
}

void rate_meter::thin_out() {
  sample_mask_ = sample_mask_ * 2 + 1;
  std::erase_if(keys_, [this](const auto& key) { return (subject_hash{}(key.first) & sample_mask_) != 0; });
}

rate_meter::summary rate_meter::summarize() const {
  summary s;
  s.keys = keys_.size();
  s.sampled_one_in = sample_mask_ + 1;
  if (keys_.empty()) return s;
  std::vector<std::int64_t> peaks;
  peaks.reserve(keys_.size());
  for (const auto& [subject, m] : keys_) peaks.push_back(m.peak);
  std::sort(peaks.begin(), peaks.end());
  s.p50 = percentile(peaks, 500);
  s.p95 = percentile(peaks, 950);
  s.p99 = percentile(peaks, 990);
  s.p999 = percentile(peaks, 999);
  s.max = peaks.back();
  s.denies_1_percent = limit_exceeded_by(peaks, 10);
  s.denies_0_1_percent = limit_exceeded_by(peaks, 1);
  return s;
}

}  // namespace weir::replay
