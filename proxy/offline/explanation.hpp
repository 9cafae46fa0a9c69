// SPDX-License-Identifier: Apache-2.0
// Why a decision is what it is: who the client is, what each rule made of the request, what it was charged.
#pragma once

#include "limiter/rule.hpp"
#include "proxy/offline/evaluator.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace weir::proxy::offline {

/// An address on the way to the client, the peer first.
struct explained_hop {
  std::string text;     ///< the address, or what stood there instead
  std::string verdict;  ///< "trusted", "not trusted: the client", ...
};

struct explained_value {
  std::string selector;
  std::optional<std::string> value;  ///< none: absent; secrets as a keyed hash, `#` in front
};

struct explained_rule {
  enum class fate : std::uint8_t {
    counted,    ///< it has been asked
    unmatched,  ///< its match does not fit
    skipped,    ///< `missing: skip`
    refused,    ///< `missing: deny`, or a key that is given twice: the request ends here
    unlimited,  ///< it lets this key pass uncounted
    disabled,
    not_asked,  ///< the request never came to the rules, or another one refused before
  };
  const limiter::rule* rule = nullptr;
  fate what = fate::not_asked;
  std::string why;        ///< of all but `counted`
  bool fallback = false;  ///< the key is that of `fallback`
  std::vector<explained_value> key{};
  std::string subject{};  ///< its name in the store
  std::int64_t cost = 0;
  std::string cost_from{};                     ///< "default", "route search", "header:x-batch", "reserve"
  limiter::quota quota{};                      ///< of this key: an override, its tier, or the rule's
  bool shadow = false;                         ///< it is only watched
  std::optional<limiter::rule_state> state{};  ///< after the decision
};

struct explanation {
  std::vector<explained_hop> chain{};
  std::optional<std::string> user{};  ///< as logs show it
  std::string user_from{};            ///< the source: "header:x-api-key", "given"
  std::string tier_from{};
  std::string token{};                  ///< why a token did not count
  std::string listed{};                 ///< the item of `block` or `exempt`: "block[1]"
  std::vector<explained_rule> rules{};  ///< in file order, those of `concurrency` behind the others
  std::string fields{};                 ///< lines of weir's answer, or that it adds to the upstream's
};

/// Of a request that an evaluator has just decided.
[[nodiscard]] explanation explain(const evaluated_request& request);

}  // namespace weir::proxy::offline
