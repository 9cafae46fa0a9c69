// SPDX-License-Identifier: Apache-2.0
#include "proxy/http/methods.hpp"

#include "proxy/http/grammar.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace weir::http {
namespace {

constexpr std::array<std::string_view, 10> labels{"_OTHER", "GET",     "HEAD",  "POST",    "PUT",
                                                  "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE"};

constexpr std::size_t longest_label = 7;

/// Different for different texts of up to `longest_label` bytes: the size is part of it.
constexpr std::uint64_t to_word(std::string_view text) {
  std::uint64_t word = text.size();
  for (const char c : text) word = word << 8 | static_cast<unsigned char>(c);
  return word;
}

constexpr auto words = [] {
  std::array<std::uint64_t, labels.size()> all{};
  std::transform(labels.begin(), labels.end(), all.begin(), to_word);
  return all;
}();
static_assert(std::all_of(labels.begin(), labels.end(), [](auto l) { return l.size() <= longest_label; }));

// The HTTP method registry of IANA, sorted.
constexpr std::array<std::string_view, 40> registered{"ACL",
                                                      "BASELINE-CONTROL",
                                                      "BIND",
                                                      "CHECKIN",
                                                      "CHECKOUT",
                                                      "CONNECT",
                                                      "COPY",
                                                      "DELETE",
                                                      "GET",
                                                      "HEAD",
                                                      "LABEL",
                                                      "LINK",
                                                      "LOCK",
                                                      "MERGE",
                                                      "MKACTIVITY",
                                                      "MKCALENDAR",
                                                      "MKCOL",
                                                      "MKREDIRECTREF",
                                                      "MKWORKSPACE",
                                                      "MOVE",
                                                      "OPTIONS",
                                                      "ORDERPATCH",
                                                      "PATCH",
                                                      "POST",
                                                      "PRI",
                                                      "PROPFIND",
                                                      "PROPPATCH",
                                                      "PUT",
                                                      "QUERY",
                                                      "REBIND",
                                                      "REPORT",
                                                      "SEARCH",
                                                      "TRACE",
                                                      "UNBIND",
                                                      "UNCHECKOUT",
                                                      "UNLINK",
                                                      "UNLOCK",
                                                      "UPDATE",
                                                      "UPDATEREDIRECTREF",
                                                      "VERSION-CONTROL"};

}  // namespace

method_id identify_method(std::string_view method) noexcept {
  if (method.size() > longest_label) return method_id::other;
  const std::uint64_t word = to_word(method);
  for (std::size_t i = 1; i < labels.size(); ++i) {
    if (word == words[i]) return static_cast<method_id>(i);
  }
  return method_id::other;
}

bool is_miscased_method(std::string_view method) noexcept {
  const auto equal = [method](std::string_view r) { return grammar::equals_ignoring_case(method, r); };
  const auto found = std::find_if(registered.begin(), registered.end(), equal);
  return found != registered.end() && *found != method;
}

std::string_view method_label(method_id m) noexcept {
  return labels[static_cast<std::size_t>(m)];
}

}  // namespace weir::http
