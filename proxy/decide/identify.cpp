// SPDX-License-Identifier: Apache-2.0
#include "proxy/decide/identify.hpp"

#include "proxy/decide/identify_user.hpp"
#include "proxy/http/field_policy.hpp"
#include "proxy/http/grammar.hpp"
#include "proxy/http/rewrite.hpp"
#include "proxy/identity/client_chain.hpp"

#include <algorithm>

namespace weir::proxy {

namespace {

constexpr identify_refusal malformed{http::local_error::bad_request, "bad_target_or_identity"};

/// Drops the fields that only a trusted peer may send, and keeps the values of those that selectors read.
/// False: one of these is repeated.
bool read_fields(limited_request& request, std::string_view buffer) {
  const http::field_names& discarded = request.policy->discarded_headers;
  const http::field_names& wanted = request.policy->identity_headers;
  request.identity_values.assign(wanted.all().size(), std::string_view{});
  bool once = true;
  for (std::size_t i = 0; i < request.head.field_count; ++i) {
    http::field& field = request.head.fields[i];
    const http::sought_name name(request.head.name(field, buffer));
    if (!request.peer_trusted && discarded.contain(name)) field.dropped = true;
    if (field.dropped) continue;
    const auto position = wanted.find(name);
    if (!position) continue;
    std::string_view& value = request.identity_values[*position];
    if (value.data() == nullptr) {
      value = request.head.value(field, buffer);
    } else {
      once = false;
    }
  }
  return once;
}

void find_client(limited_request& request, std::string_view buffer, const identity::address& peer,
                 std::string_view peer_text) {
  const client_ip_settings& settings = request.policy->settings->client_ip;
  const auto& trusted = settings.trusted_proxies;
  request.peer_trusted =
      settings.hops > 0 || std::any_of(trusted.begin(), trusted.end(),
                                       [&](const identity::cidr& range) { return range.contains(peer); });
  identity::address client = peer;
  if (request.peer_trusted && !settings.header.empty()) {
    const client_lines lines = find_client_lines(request, buffer);
    client = identity::client_address(peer, {lines.data(), lines.size()}, {trusted, settings.hops},
                                      settings.header == "forwarded" ? identity::chain_syntax::forwarded
                                                                     : identity::chain_syntax::addresses);
    identity::append_address(request.client_ip_storage, client);
    request.client_ip = request.client_ip_storage;
  } else {
    request.client_ip = peer_text;
  }
  request.attributes.client_address = identity::by_value(client).bytes;
  if (client.is_v4() && settings.group_ipv4 == 32) {
    request.client_group = request.client_ip;  // every IPv4 client is a group of its own
  } else {
    identity::append_group(request.client_group_storage, client, settings.group_ipv4, settings.group_ipv6);
    request.client_group = request.client_group_storage;
  }
}

void match_route(limited_request& request) {
  const settings& s = *request.policy->settings;
  // `OPTIONS *` speaks about the server: it takes the route of the root.
  const std::string_view path =
      request.attributes.path == "*" ? std::string_view("/") : request.attributes.path;
  request.route =
      request.policy->find_route(request.attributes, path, request.scratch, request.route_scratch);
  if (request.route) {
    const route_settings& route = s.routes[*request.route];
    request.attributes.route = route.name;
    request.attributes.route_index = *request.route;
    request.attributes.route_paths = &route.match.paths;
    request.attributes.upstream = s.upstreams[route.upstream].name;
  } else {
    request.attributes.route = "_none";
    request.attributes.route_index = static_cast<std::uint32_t>(s.routes.size());
  }
}

bool allows_method(const settings& s, std::string_view method) {
  const auto& listed = s.http.methods;
  return listed.empty() || std::find(listed.begin(), listed.end(), method) != listed.end();
}

/// False: the path has no single reading.
bool read_target(limited_request& request, std::string_view buffer) {
  const path_settings& paths = request.policy->settings->paths;
  if (!http::normalise_target(request.head.target(buffer), request.path_storage, request.target))
    return false;
  if (request.target.parameters && paths.refuse_parameters) return false;
  request.attributes.path = request.target.path;
  request.attributes.query = request.target.query;
  if (paths.ignore_case) {
    request.path_folded.resize(request.target.path.size());
    std::transform(request.target.path.begin(), request.target.path.end(), request.path_folded.begin(),
                   http::grammar::lower);
    request.attributes.path = request.path_folded;
  }
  return true;
}

/// Whether fields with a `_` in their name exist behind this point. False: one that must not be there.
bool judge_underscores(limited_request& request, std::string_view buffer) {
  const settings& s = *request.policy->settings;
  if (s.http.underscore == underscore_mode::reject && http::has_underscore_name(request.head, buffer))
    return false;
  if (s.http.underscore == underscore_mode::allow)
    http::keep_underscore_names(request.head, buffer, request.policy->reserved_headers);
  return true;
}

bool gives_value_twice(const limited_request& request) {
  const auto& single = request.policy->single_values;
  return std::any_of(single.begin(), single.end(),
                     [&](const limiter::selector& s) { return limiter::is_repeated(s, request.attributes); });
}

/// `%2F` waits for the route: only there it may be data.
bool misplaces_encoded_slash(const limited_request& request) {
  if (!request.target.encoded_slash) return false;
  return !request.route || !request.policy->settings->routes[*request.route].encoded_slash;
}

}  // namespace

client_lines find_client_lines(const limited_request& request, std::string_view buffer) {
  const std::string& name = request.policy->settings->client_ip.header;
  client_lines lines;
  for (std::size_t i = 0; i < request.head.field_count && lines.size() < lines.capacity(); ++i) {
    const http::field& field = request.head.fields[i];
    if (!field.dropped && http::grammar::equals_ignoring_case(request.head.name(field, buffer), name)) {
      lines.push_back(request.head.value(field, buffer));
    }
  }
  return lines;
}

std::optional<identify_refusal> read_request(limited_request& request, std::string_view buffer,
                                             const identity::address& peer, std::string_view peer_text) {
  find_client(request, buffer, peer, peer_text);
  limiter::request_attributes& attributes = request.attributes;
  attributes.method = request.head.method(buffer);
  attributes.client_ip = request.client_group;
  if (!allows_method(*request.policy->settings, attributes.method))
    return identify_refusal{http::local_error::method_not_listed, "method_not_listed"};
  if (!read_target(request, buffer)) return malformed;
  attributes.host = http::match_host(request.head.host_name(buffer), request.host_storage);
  if (!judge_underscores(request, buffer)) return malformed;
  if (!read_fields(request, buffer) || gives_value_twice(request)) return malformed;
  return std::nullopt;
}

std::optional<identify_refusal> find_route(limited_request& request) {
  match_route(request);
  if (misplaces_encoded_slash(request)) return malformed;
  return std::nullopt;
}

std::optional<identify_refusal> identify(limited_request& request, std::string_view buffer,
                                         const identity::address& peer, std::string_view peer_text,
                                         std::int64_t wall_us) {
  if (const auto refused = read_request(request, buffer, peer, peer_text)) return refused;
  find_token(request, wall_us);
  find_user(request);
  find_tier(request);
  return find_route(request);
}

}  // namespace weir::proxy
