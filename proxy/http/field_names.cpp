// SPDX-License-Identifier: Apache-2.0
#include "proxy/http/field_names.hpp"

#include "proxy/http/grammar.hpp"

namespace weir::http {

void field_names::add(std::string_view name) {
  if (contain(name)) return;
  names_.emplace_back(name);
  buckets_ |= sought_name::bucket_of(name);
}

// Called rarely: find() stays small wherever it is inlined.
[[gnu::noinline]] std::optional<std::size_t> field_names::search(std::string_view name) const noexcept {
  for (std::size_t i = 0; i < names_.size(); ++i) {
    if (grammar::equals_lower_text(name, names_[i])) return i;
  }
  return std::nullopt;
}

}  // namespace weir::http
