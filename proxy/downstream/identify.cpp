// SPDX-License-Identifier: Apache-2.0
#include "proxy/downstream/identify.hpp"

#include "proxy/http/rewrite.hpp"
#include "proxy/identity/user_hash.hpp"

#include <algorithm>
#include <array>
#include <boost/container/static_vector.hpp>

namespace weir::proxy {

namespace {

bool equals_ignoring_case(std::string_view text, std::string_view lower) noexcept {
  return std::equal(text.begin(), text.end(), lower.begin(), lower.end(), [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a | 0x20) : a) == b;
  });
}

/// Values of the headers that selectors read; false when one of them is repeated.
bool collect_identity_values(active_request& request, std::string_view buffer) {
  const std::vector<std::string>& names = request.config->identity_headers;
  request.identity_values.assign(names.size(), std::string_view{});
  if (names.empty()) return true;
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < request.head.field_count; ++i) {
    const http::field& field = request.head.fields[i];
    if (field.dropped) continue;
    for (std::size_t n = 0; n < names.size(); ++n) {
      if (field.name_size != names[n].size() ||
          !equals_ignoring_case(request.head.name(field, buffer), names[n])) {
        continue;
      }
      const std::uint64_t bit = std::uint64_t{1} << (n % 64);
      if ((seen & bit) != 0 && request.identity_values[n].data() != nullptr) return false;
      seen |= bit;
      request.identity_values[n] = request.head.value(field, buffer);
    }
  }
  return true;
}

/// The first source that yields a value wins.
void find_user(active_request& request) {
  for (const user_source& source : request.config->settings->users) {
    const std::optional<std::string_view> value = request.header(source.header);
    if (!value) continue;
    request.attributes.user = value;
    if (source.hash) {
      identity::append_user_hash(request.user_hash, request.config->settings->hash_key, *value);
    } else {
      request.user_hash = *value;
    }
    return;
  }
}

void find_client(active_request& request, std::string_view buffer, const identity::address& peer,
                 std::string_view peer_text) {
  const client_ip_settings& settings = request.config->settings->client_ip;
  const auto& trusted = settings.trusted_proxies;
  request.peer_trusted = std::any_of(trusted.begin(), trusted.end(),
                                     [&](const identity::cidr& range) { return range.contains(peer); });
  identity::address client = peer;
  if (request.peer_trusted && !settings.header.empty()) {
    boost::container::static_vector<std::string_view, 64> lines;
    for (std::size_t i = 0; i < request.head.field_count && lines.size() < lines.capacity(); ++i) {
      const http::field& field = request.head.fields[i];
      if (!field.dropped && equals_ignoring_case(request.head.name(field, buffer), settings.header)) {
        lines.push_back(request.head.value(field, buffer));
      }
    }
    client = identity::client_address(peer, {lines.data(), lines.size()}, trusted);
    identity::append_address(request.client_ip, client);
  } else {
    request.client_ip = peer_text;
  }
  if (client.is_v4() && settings.group_ipv4 == 32) {
    request.client_group = request.client_ip;  // every IPv4 client is a group of its own
  } else {
    identity::append_group(request.client_group, client, settings.group_ipv4, settings.group_ipv6);
  }
}

void find_request_id(active_request& request, std::string_view buffer, random_source& random) {
  std::string_view id;
  int lines = 0;
  for (std::size_t i = 0; i < request.head.field_count; ++i) {
    const http::field& field = request.head.fields[i];
    if (field.id != http::header_id::x_request_id || field.dropped) continue;
    id = request.head.value(field, buffer);
    ++lines;
  }
  request.request_id.clear();
  if (lines == 1 && http::is_sane_request_id(id)) {
    request.request_id = id;
  } else {
    append_random_id(request.request_id, random);
  }
}

void find_route(active_request& request) {
  const settings& s = *request.config->settings;
  // `OPTIONS *` speaks about the server: it takes the route of the root.
  const std::string_view path = request.target.path == "*" ? std::string_view("/") : request.target.path;
  request.route =
      request.config->find_route(request.attributes.method, path, request.host, request.route_scratch);
  if (request.route) {
    const route_settings& route = s.routes[*request.route];
    request.attributes.route = route.name;
    request.attributes.route_index = *request.route;
    request.attributes.upstream = s.upstreams[route.upstream].name;
  } else {
    request.attributes.route = "_none";
    request.attributes.route_index = static_cast<std::uint32_t>(s.routes.size());
  }
}

}  // namespace

void append_random_id(std::string& out, random_source& random) {
  constexpr std::string_view hex = "0123456789abcdef";
  std::array<char, 32> text;
  for (std::size_t word = 0; word < 2; ++word) {
    std::uint64_t bits = random.next();
    for (std::size_t i = 0; i < 16; ++i, bits >>= 4) text[word * 16 + i] = hex[bits & 15];
  }
  out.append(text.data(), text.size());
}

bool identify(active_request& request, std::string_view buffer, const identity::address& peer,
              std::string_view peer_text, random_source& random) {
  find_request_id(request, buffer, random);
  find_client(request, buffer, peer, peer_text);
  limiter::request_attributes& attributes = request.attributes;
  attributes.method = request.head.method(buffer);
  attributes.client_ip = request.client_group;
  if (!http::normalise_target(request.head.target(buffer), request.path_storage, request.target))
    return false;
  attributes.path = request.target.path;
  attributes.query = request.target.query;
  http::append_match_host(request.host, request.head.host(buffer));
  attributes.host = request.host;
  if (!collect_identity_values(request, buffer)) return false;
  find_user(request);
  find_route(request);
  return true;
}

}  // namespace weir::proxy
