// SPDX-License-Identifier: Apache-2.0
// The keys and arguments of a decision in the script's words (lua/README.md). Pure.
#pragma once

#include "limiter/algorithms/algorithm.hpp"
#include "limiter/decision.hpp"
#include "limiter/redis/command_writer.hpp"

#include <boost/container/small_vector.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace weir::limiter::redis {

/// What the script reads for one charge. Keys are indices into KEYS, from 1; 0 = none.
struct argument_group {
  const algorithm_functions* algorithm = nullptr;
  parameters quota;
  std::int64_t own_key = 0;      // of the rule alone
  std::int64_t value_key = 0;    // of the subject's value: the state is there, or the penalty
  bool names_value_key = false;  // it is the first to need it
  std::int64_t penalty_us = 0;
};
using argument_groups = boost::container::small_vector<argument_group, 4>;

struct word_counts {
  std::size_t keys = 0;
  std::size_t arguments = 0;  ///< with the operation and k
};

/// Fills one group per charge. Rules of one subject share its key, except those whose algorithm needs a key
/// of its own. `estimate_us`: what the store's clock shows, see decide_options.
word_counts plan_arguments(operation op, std::span<const charge> charges, std::int64_t estimate_us,
                           std::span<argument_group> groups);

void put_keys(command_writer& out, std::string_view prefix, std::span<const charge> charges,
              std::span<const argument_group> groups);
/// The operation, k, and what the script reads for each charge.
void put_arguments(command_writer& out, operation op, std::int64_t k, std::span<const charge> charges,
                   std::span<const argument_group> groups);

/// Bytes that a command needs at most: its name, the script or its digest, and these words.
[[nodiscard]] std::size_t room_for(std::string_view command, std::string_view script,
                                   std::string_view key_prefix, const word_counts& words) noexcept;

}  // namespace weir::limiter::redis
