// SPDX-License-Identifier: Apache-2.0
// One decision as clients may see it: what every emitter writes from, so that all fields agree.
#pragma once

#include "limiter/decision.hpp"
#include "proxy/identity/keyed_hash.hpp"

#include <boost/container/static_vector.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace weir::http {

inline constexpr std::size_t max_items = 8;                          ///< rules one response tells of
inline constexpr std::size_t max_item_name = 64;                     ///< of a rule
inline constexpr std::int64_t max_sf_integer = 999'999'999'999'999;  ///< RFC 9651 3.3.1: 15 digits

/// What the fields say about one rule.
struct item {
  std::string_view name;
  std::int64_t q = 0;                ///< quota
  std::int64_t w = 0;                ///< window, s; 0 = none: `q` requests at the same time
  std::int64_t r = 0;                ///< remaining, 0 ... q
  std::int64_t t = -1;               ///< seconds until more; -1 = no wait helps, or unknown
  std::int64_t t_epoch = 0;          ///< the same as seconds of the Unix epoch; 0 when t is -1
  std::int64_t unit = 1;             ///< bytes of one unit; 0 = units are no bytes
  identity::keyed_hash partition{};  ///< of the partition key
};

/// Visible rules of one decision, closest first; limits on requests at the same time behind them.
struct item_list {
  boost::container::static_vector<item, max_items> items;
  std::int64_t retry_after_s = -1;  ///< -1: none to tell
  bool epoch = false;               ///< X-RateLimit-Reset is a time, not a wait
  bool partitions = false;          ///< tell `partition`

  /// The closest rule that counts units in a window; null: there is none.
  [[nodiscard]] const item* closest() const noexcept {
    return !items.empty() && items[0].w > 0 ? items.data() : nullptr;
  }
};

/// How a decision is told.
struct item_options {
  bool epoch = false;
  std::int64_t wall_now_us = 0;                  ///< Unix time; read with `epoch`
  identity::keyed_hasher* partitions = nullptr;  ///< names partitions; null: they are not told
};

[[nodiscard]] item_list collect_items(std::span<const limiter::charge> charges, const limiter::decision& d,
                                      const item_options& options);

/// Index of the charge whose rule is closest to its limit: the limiting one of a denial, else the one with
/// the smallest remaining share of its capacity (ties: file order). -1 for an empty decision. Hidden rules
/// take part, shadow ones do not.
[[nodiscard]] int closest_charge(std::span<const limiter::charge> charges,
                                 const limiter::decision& decision) noexcept;

/// The wait a client may be told, in whole seconds: what Retry-After says. -1 when there is none to tell.
[[nodiscard]] std::int64_t retry_after_seconds(std::span<const limiter::charge> charges,
                                               const limiter::decision& decision) noexcept;

using policy_names = boost::container::static_vector<std::string_view, max_items>;

/// The visible rules that deny, in file order, at most max_items.
[[nodiscard]] policy_names violated_policies(std::span<const limiter::charge> charges,
                                             const limiter::decision& decision);

/// ceil(us / 1e6), at least 1 when us > 0; 0 for us <= 0.
[[nodiscard]] std::int64_t whole_seconds(std::int64_t us) noexcept;

}  // namespace weir::http
