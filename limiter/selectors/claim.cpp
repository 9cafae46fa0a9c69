// SPDX-License-Identifier: Apache-2.0
// `claim:x`: a claim of the verified token. Without a verified token there is none.
#include "limiter/selectors/selector_kind.hpp"

namespace weir::limiter::selectors {
namespace {

std::optional<std::string> claim_name(std::string_view text) {
  if (text.empty()) return std::nullopt;
  return std::string(text);
}

std::optional<std::string_view> select_claim(const std::string& name, const request_attributes& request,
                                             std::string&) {
  if (request.claims == nullptr) return std::nullopt;
  return request.claims->claim(name);
}

}  // namespace

const selector_kind claim{
    .name = "claim",
    .argument = claim_name,
    .select = select_claim,
    .can_be_absent = true,
    .client_chosen = true,
};

}  // namespace weir::limiter::selectors
