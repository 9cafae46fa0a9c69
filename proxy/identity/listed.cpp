// SPDX-License-Identifier: Apache-2.0
#include "proxy/identity/listed.hpp"

namespace weir::identity {
namespace {

bool is_listed(const proxy::listed_requests& item, const limiter::request_attributes& request,
               std::string& scratch) {
  if (item.clients) return item.clients->contains(request.client_address);
  if (!item.by) return limiter::matches(item.match, request, scratch);
  const auto value = limiter::select(*item.by, request, scratch);
  return value && item.values->find(*value).has_value();
}

}  // namespace

const proxy::listed_requests* find_listed(std::span<const proxy::listed_requests> list,
                                          const limiter::request_attributes& request, std::string& scratch) {
  for (const proxy::listed_requests& item : list) {
    if (is_listed(item, request, scratch)) return &item;
  }
  return nullptr;
}

}  // namespace weir::identity
