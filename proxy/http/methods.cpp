// SPDX-License-Identifier: Apache-2.0
#include "proxy/http/methods.hpp"

#include "proxy/http/grammar.hpp"

#include <algorithm>
#include <array>

namespace weir::http {
namespace {

constexpr std::array<std::string_view, 10> labels{"_OTHER", "GET",     "HEAD",  "POST",    "PUT",
                                                  "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE"};

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
  for (std::size_t i = 1; i < labels.size(); ++i) {
    if (method == labels[i]) return static_cast<method_id>(i);
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
