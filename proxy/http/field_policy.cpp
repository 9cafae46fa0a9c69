// SPDX-License-Identifier: Apache-2.0
#include "proxy/http/field_policy.hpp"

#include <algorithm>
#include <array>
#include <span>

namespace weir::http {
namespace {

constexpr std::size_t name_size_max = 256;  // what the scanner accepts

bool has_underscore(std::string_view name) noexcept {
  return name.find('_') != std::string_view::npos;
}

bool is_reserved(std::string_view name, const field_names& reserved) noexcept {
  std::array<char, name_size_max> dashed;
  const std::size_t size = std::min(name.size(), dashed.size());
  std::replace_copy(name.begin(), name.begin() + static_cast<std::ptrdiff_t>(size), dashed.begin(), '_', '-');
  const std::string_view alias(dashed.data(), size);
  return identify_header(alias) != header_id::other || reserved.contain(alias);
}

std::span<field> fields_of(request_head& head) noexcept {
  return {head.fields.data(), head.field_count};
}

}  // namespace

bool has_underscore_name(const request_head& head, std::string_view buffer) noexcept {
  return std::any_of(head.fields.begin(), head.fields.begin() + static_cast<std::ptrdiff_t>(head.field_count),
                     [&](const field& f) { return has_underscore(head.name(f, buffer)); });
}

void keep_underscore_names(request_head& head, std::string_view buffer,
                           const field_names& reserved) noexcept {
  for (field& f : fields_of(head)) {
    const std::string_view name = head.name(f, buffer);
    if (!f.dropped || !has_underscore(name) || is_reserved(name, reserved)) continue;
    f.dropped = false;
    --head.underscore_names;
  }
}

}  // namespace weir::http
