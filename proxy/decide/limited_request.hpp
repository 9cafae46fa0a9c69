// SPDX-License-Identifier: Apache-2.0
// A request as far as decisions read it: its head, who sent it, where it goes, which rules ask for units.
// Knows no socket. What carries its bytes derives from it, and so does whoever only asks what would be
// decided.
#pragma once

#include "limiter/limiter.hpp"
#include "limiter/policy.hpp"
#include "proxy/decide/compiled_policy.hpp"
#include "proxy/http/head.hpp"
#include "proxy/http/path.hpp"
#include "proxy/identity/peer_names.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::proxy {

class limited_request : public limiter::pending_decision,
                        public limiter::header_source,
                        public limiter::claim_source {
 public:
  const compiled_policy* policy = nullptr;  ///< lives until end of the request
  http::request_head head;
  limiter::request_attributes attributes;
  limiter::match_result match;
  limiter::match_result slot_match;  ///< limits on requests at the same time
  http::normalised_target target;

  std::string path_storage;  ///< when normalisation changed the path
  std::string path_folded;   ///< lower case, for matching, with `paths.case: insensitive`
  std::string user_storage;  ///< when the user was percent-encoded
  std::string tier_storage;
  std::string host_storage;       ///< when the host has upper case
  std::string client_ip_storage;  ///< when a header names the client
  std::string client_group_storage;
  std::string_view client_ip;     ///< the client, ungrouped
  std::string_view client_group;  ///< the client's partition
  std::string scratch;
  std::vector<std::uint32_t> route_scratch;
  std::vector<std::string_view> identity_values;  ///< by policy->identity_headers; empty = absent
  std::optional<std::uint32_t> route;             ///< none: "_none"
  bool peer_trusted = false;
  const identity::peer_names* certificate = nullptr;  ///< of the client, verified; null: none
  std::shared_ptr<const identity::verified_token> token;
  identity::jwt_problem token_problem = identity::jwt_problem::none;
  const user_source* user_from = nullptr;   ///< null: no user, or one that was given
  const listed_requests* listed = nullptr;  ///< of `block` or `exempt`, see admission
  const limiter::rule* no_slot = nullptr;   ///< the limit it waits for, or was refused by

  /// The limit behind `no_slot`, which must be set.
  [[nodiscard]] std::int64_t slots_at_most() const noexcept;
  [[nodiscard]] std::optional<std::string_view> header(std::string_view lower_case_name) const override;
  [[nodiscard]] std::optional<std::string_view> claim(std::string_view name) const override {
    return token ? token->claim(name) : std::nullopt;
  }

 protected:
  /// Ready for the next request; keeps every buffer's capacity. `current` outlives it.
  void begin(const compiled_policy& current);
};

}  // namespace weir::proxy
