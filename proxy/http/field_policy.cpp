// SPDX-License-Identifier: Apache-2.0
#include "proxy/http/field_policy.hpp"

#include "proxy/http/grammar.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace weir::http {
namespace {

constexpr std::size_t name_size_max = 256;  // what the scanner accepts

bool has_underscore(std::string_view name) noexcept {
  return name.find('_') != std::string_view::npos;
}

bool is_reserved(std::string_view name, std::span<const std::string> reserved) noexcept {
  std::array<char, name_size_max> dashed;
  const std::size_t size = std::min(name.size(), dashed.size());
  std::replace_copy(name.begin(), name.begin() + static_cast<std::ptrdiff_t>(size), dashed.begin(), '_', '-');
  const std::string_view alias(dashed.data(), size);
  return identify_header(alias) != header_id::other ||
         std::any_of(reserved.begin(), reserved.end(),
                     [alias](std::string_view known) { return grammar::equals_ignoring_case(alias, known); });
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
                           std::span<const std::string> reserved) noexcept {
  for (field& f : fields_of(head)) {
    const std::string_view name = head.name(f, buffer);
    if (!f.dropped || !has_underscore(name) || is_reserved(name, reserved)) continue;
    f.dropped = false;
    --head.underscore_names;
  }
}

void drop_fields(request_head& head, std::string_view buffer, std::span<const std::string> names) noexcept {
  std::uint64_t sizes = 0;  // most fields have a length that no name of the list has
  for (const std::string& name : names) sizes |= std::uint64_t{1} << (name.size() % 64);
  for (field& f : fields_of(head)) {
    if ((sizes >> (f.name_size % 64) & 1) == 0) continue;
    const std::string_view name = head.name(f, buffer);
    f.dropped = f.dropped || std::any_of(names.begin(), names.end(), [name](std::string_view listed) {
                  return grammar::equals_ignoring_case(name, listed);
                });
  }
}

}  // namespace weir::http
