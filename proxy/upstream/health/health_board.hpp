// SPDX-License-Identifier: Apache-2.0
// What one worker knows of the health of an upstream's endpoints: their circuits (passive), the verdict of
// active checks, and who asked to be left alone. An endpoint is in use when its circuit and the checks both
// agree. Pure; `now` is monotonic microseconds; every operation but wait_us() is O(1) and allocates nothing.
#pragma once

#include "proxy/upstream/balancers/balancer.hpp"
#include "proxy/upstream/health/circuit.hpp"

#include <cstdint>
#include <vector>

namespace weir::proxy {

/// How an attempt at an endpoint ended, as far as the endpoint's health is concerned.
enum class attempt_result : std::uint8_t {
  good,       ///< it answered, whatever it said, but not with 502, 503 or 504
  bad,        ///< connect error, reset, timeout, malformed answer, 502, 503 or 504
  abandoned,  ///< says nothing about it: the client left, our pool was full, a stale connection
};

/// What a call changed, for the log and the metrics.
struct health_change {
  enum class kind : std::uint8_t { none, out, back } what = kind::none;
  eject_reason reason = eject_reason::consecutive_failures;  ///< of `out`
  bool toggled = false;  ///< up() is another; it may be out for two reasons
};

class health_board {
 public:
  /// `endpoints` >= 1, all in use at first.
  health_board(const outlier_settings& settings, std::size_t endpoints);

  /// In use: gets its share. False while its circuit is open or half-open, or the checks failed.
  [[nodiscard]] bool up(std::size_t endpoint) const noexcept { return at(endpoint).up; }

  /// How the balancer should see it. `retry`: the request has failed elsewhere, so an endpoint that asked to
  /// be left alone is left alone; a first attempt goes there with one chance in ten. `random` is uniform.
  [[nodiscard]] standing standing_of(std::size_t endpoint, bool retry, std::uint32_t random,
                                     std::int64_t now_us) const noexcept;

  /// An attempt begins; true: it is the probe of a half-open circuit. Pass that on to end().
  [[nodiscard]] bool begin(std::size_t endpoint, std::int64_t now_us) noexcept;
  /// It ended; exactly once per begin().
  health_change end(std::size_t endpoint, bool probe, attempt_result how, std::int64_t now_us) noexcept;
  /// The verdict of the active checks changed.
  health_change checked(std::size_t endpoint, bool healthy) noexcept;

  /// The endpoint answered 429 or 503. It gets less for as long as it asked for in `retry_after_us`, and no
  /// retry; -1: it did not ask, then it gets less for a second.
  void refused(std::size_t endpoint, std::int64_t retry_after_us, std::int64_t now_us) noexcept;
  /// How long until some endpoint that is in use may get a retry; 0 = now.
  [[nodiscard]] std::int64_t wait_us(std::int64_t now_us) const noexcept;

  [[nodiscard]] std::size_t size() const noexcept { return endpoints_.size(); }
  [[nodiscard]] std::size_t ejected() const noexcept { return ejected_; }

 private:
  struct entry {
    proxy::circuit circuit;
    std::int64_t lighter_until_us = 0;  // gets less
    std::int64_t asked_until_us = 0;    // gets no retry
    bool checks_well = true;
    bool up = true;
  };
  [[nodiscard]] const entry& at(std::size_t i) const noexcept { return endpoints_[i]; }
  [[nodiscard]] bool may_eject(const entry& e) const noexcept;
  health_change refresh(entry& e, eject_reason reason) noexcept;

  static constexpr std::int64_t longest_refusal_us = 3'600'000'000;
  static constexpr std::int64_t default_refusal_us = 1'000'000;
  static constexpr std::uint64_t refusing_share = 10;  ///< one pick in so many is open to it

  std::vector<entry> endpoints_;
  std::size_t most_ejected_;
  std::size_t ejected_ = 0;  // circuits that are not closed
  std::size_t up_;
  bool deweight_;
};

}  // namespace weir::proxy
