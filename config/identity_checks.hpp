// SPDX-License-Identifier: Apache-2.0
// Identity and lists: what the sections leave to be put together.
#pragma once

#include "config/draft.hpp"
#include "config/reporter.hpp"

namespace weir::config {

/// Claims need tokens, tokens need claims. Runs on the draft as it was read.
void check_claims(const file_draft& draft, reporter& report);

/// Fills jwt, users and tiers of the settings. Runs before rules are checked.
void complete_identity(file_draft& draft, reporter& report);

/// A parameter of a path that is read must be one of some route's. Runs when the routes are complete.
void check_path_parameters(const file_draft& draft, reporter& report);

/// Fills one list of the settings from its draft; the names of routes are checked by the caller.
void complete_list(std::vector<list_draft>& drafts, std::vector<proxy::listed_requests>& out,
                   reporter& report);

/// False when every request that `match` fits has a value, as far as the policy tells: a tier whose last
/// source is a constant, a path parameter that all named routes have.
[[nodiscard]] bool may_lack(const limiter::selector& selector, const proxy::settings& settings,
                            const limiter::request_match& match);

/// Templates as `paths.case: insensitive` matches them.
void fold_paths(limiter::request_match& match);

}  // namespace weir::config
