// SPDX-License-Identifier: Apache-2.0
#include "proxy/runtime/endpoint_resolver.hpp"

#include "proxy/observe/own_log.hpp"

#include <algorithm>
#include <cstring>

namespace weir::proxy {

namespace {

using results = boost::asio::ip::tcp::resolver::results_type;

std::vector<resolved_address> to_addresses(const results& answers) {
  std::vector<resolved_address> addresses;
  for (const auto& entry : answers) {
    resolved_address address;
    address.size = static_cast<socklen_t>(entry.endpoint().size());
    std::memcpy(&address.storage, entry.endpoint().data(), entry.endpoint().size());
    addresses.push_back(address);
  }
  return addresses;
}

bool same(const std::vector<resolved_address>& a, const std::vector<resolved_address>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const resolved_address& x, const resolved_address& y) {
                      return x.size == y.size && std::memcmp(&x.storage, &y.storage, x.size) == 0;
                    });
}

bool has_name(const endpoint_settings& endpoint) {
  return literal_addresses(endpoint.address).empty();
}

}  // namespace

endpoint_resolver::endpoint_resolver(boost::asio::io_context& io, change_function on_change)
    : io_(io), resolver_(io), on_change_(std::move(on_change)) {}

resolved_endpoints endpoint_resolver::resolve_all(const settings& config) {
  // Shared with the look-ups: one that answers after the deadline must find its slot alive.
  struct state {
    resolved_endpoints addresses;
    int open = 0;
  };
  auto shared = std::make_shared<state>();
  milliseconds patience{0};
  shared->addresses.resize(config.upstreams.size());
  for (std::size_t u = 0; u < config.upstreams.size(); ++u) {
    const upstream_settings& upstream = config.upstreams[u];
    shared->addresses[u].resize(upstream.endpoints.size());
    for (std::size_t e = 0; e < upstream.endpoints.size(); ++e) {
      const socket_address& address = upstream.endpoints[e].address;
      shared->addresses[u][e] = literal_addresses(address);
      if (!shared->addresses[u][e].empty()) continue;
      patience = std::max(patience, upstream.resolve_timeout);
      ++shared->open;
      resolver_.async_resolve(address.host, std::to_string(address.port),
                              [shared, u, e](const boost::system::error_code& error, const results& answers) {
                                --shared->open;
                                if (!error) shared->addresses[u][e] = to_addresses(answers);
                              });
    }
  }
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (shared->open > 0 && io_.run_one_until(deadline) > 0) {
  }
  io_.restart();
  return shared->addresses;
}

void endpoint_resolver::watch(std::shared_ptr<const settings> config, resolved_endpoints known) {
  stop();
  config_ = std::move(config);
  known_ = std::move(known);
  for (std::size_t u = 0; u < config_->upstreams.size(); ++u) {
    timers_.push_back(std::make_unique<boost::asio::steady_timer>(io_));
    const auto& endpoints = config_->upstreams[u].endpoints;
    if (std::any_of(endpoints.begin(), endpoints.end(), has_name)) schedule(u);
  }
}

void endpoint_resolver::stop() {
  ++generation_;
  timers_.clear();
  resolver_.cancel();
}

void endpoint_resolver::schedule(std::size_t u) {
  timers_[u]->expires_after(config_->upstreams[u].resolve_interval);
  timers_[u]->async_wait([this, u, generation = generation_](const boost::system::error_code& error) {
    if (error || generation != generation_) return;
    refresh(u);
    schedule(u);
  });
}

void endpoint_resolver::refresh(std::size_t u) {
  const upstream_settings& upstream = config_->upstreams[u];
  for (std::size_t e = 0; e < upstream.endpoints.size(); ++e) {
    const endpoint_settings& endpoint = upstream.endpoints[e];
    if (!has_name(endpoint)) continue;
    resolver_.async_resolve(endpoint.address.host, std::to_string(endpoint.address.port),
                            [this, u, e, generation = generation_](const boost::system::error_code& error,
                                                                   const results& answers) {
                              if (generation != generation_) return;
                              if (error) {  // the last good answer stays
                                log_event(log_level::warn, "look-up failed",
                                          {{"endpoint", config_->upstreams[u].endpoints[e].address.text()},
                                           {"cause", error.message()}});
                                return;
                              }
                              std::vector<resolved_address> fresh = to_addresses(answers);
                              if (fresh.empty() || same(fresh, known_[u][e])) return;
                              known_[u][e] = std::move(fresh);
                              on_change_(config_->upstreams[u].name, e, known_[u][e]);
                            });
  }
}

}  // namespace weir::proxy
