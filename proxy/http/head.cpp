// SPDX-License-Identifier: Apache-2.0
// The parts of a scanned head that only look things up; the scanners are request_scanner.cpp,
// response_scanner.cpp.
#include "proxy/http/head.hpp"

#include "proxy/http/grammar.hpp"
#include "proxy/http/header_set.hpp"

namespace weir::http {
namespace {

template <typename Head>
const field* find_field(const Head& head, header_id id) noexcept {
  for (std::size_t i = 0; i < head.field_count; ++i) {
    if (head.fields[i].id == id && !head.fields[i].dropped) return &head.fields[i];
  }
  return nullptr;
}

}  // namespace

std::string_view request_head::method(std::string_view buffer) const noexcept {
  return part_of(buffer, method_at_, method_size_);
}

std::string_view request_head::target(std::string_view buffer) const noexcept {
  if (form == target_form::absolute && target_size_ == 0) {
    return method_id == http::method_id::options ? std::string_view("*") : std::string_view("/");
  }
  return part_of(buffer, target_at_, target_size_);
}

std::string_view request_head::host(std::string_view buffer) const noexcept {
  return part_of(buffer, host_at_, host_size_);
}

std::string_view request_head::host_name(std::string_view buffer) const noexcept {
  return part_of(buffer, host_at_, host_name_size_);
}

const field* request_head::find(header_id id) const noexcept {
  return contains(seen_, id) ? find_field(*this, id) : nullptr;
}

std::string_view single_value(const request_head& head, std::string_view buffer,
                              std::string_view name) noexcept {
  std::string_view found;
  for (std::size_t i = 0; i < head.field_count; ++i) {
    const field& f = head.fields[i];
    if (f.dropped || !grammar::equals_lower(head.name(f, buffer), name)) continue;
    if (found.data() != nullptr) return {};
    found = head.value(f, buffer);
  }
  return found;
}

std::string_view response_head::reason(std::string_view buffer) const noexcept {
  return part_of(buffer, reason_at_, reason_size_);
}

const field* response_head::find(header_id id) const noexcept {
  return contains(seen_, id) ? find_field(*this, id) : nullptr;
}

}  // namespace weir::http
