// SPDX-License-Identifier: Apache-2.0
// Replays traces and counts how many events got the expected answer.
#pragma once

#include "tests/conformance/backend.hpp"
#include "tests/conformance/trace.hpp"

#include <map>
#include <string>
#include <vector>

namespace weir::tests {

struct tally {
  int matched = 0;
  int total = 0;
};

struct mismatch {
  std::string place;  ///< file, trace, index of the event
  std::string want;
  std::string got;
};

struct report {
  tally all;
  std::map<std::string, tally> suites;
  std::map<std::string, tally> tags;
  std::vector<mismatch> mismatches;  ///< the first ten
};

/// Several rules are replayed twice, as rules of one subject and with a subject each; an event matches if
/// both do.
void replay(const trace& t, backend& store, report& result);

}  // namespace weir::tests
