// SPDX-License-Identifier: Apache-2.0
#include "proxy/identity/token_cache.hpp"

#include "limiter/descriptor.hpp"

namespace weir::identity {

token_cache::token_cache(jwt_settings settings, std::vector<std::string> claim_names, std::uint64_t secret)
    : settings_(std::move(settings)), claim_names_(std::move(claim_names)), known_(tokens_max, secret) {}

jwt_verdict token_cache::verify(std::string_view token, std::int64_t now_us) {
  if (token.size() > jwt_size_max) return {nullptr, jwt_problem::malformed};
  const limiter::entry_key key{limiter::hash_subject(token), {}};
  if (const auto* known = known_.find(key)) {
    if (now_us >= (*known)->valid_from_us && now_us < (*known)->valid_until_us)
      return {*known, jwt_problem::none};
    known_.erase(key);
  }
  ++judged_;
  jwt_verdict verdict = verify_jwt(token, settings_, claim_names_, now_us);
  if (!verdict.token) return verdict;
  if (known_.full()) {
    const limiter::entry_key oldest = known_.oldest_key();
    known_.erase(oldest);
  }
  known_.insert(key) = verdict.token;
  return verdict;
}

}  // namespace weir::identity
