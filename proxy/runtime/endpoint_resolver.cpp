// SPDX-License-Identifier: Apache-2.0
#include "proxy/runtime/endpoint_resolver.hpp"

#include "proxy/observe/own_log.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>

namespace weir::proxy {

namespace {

using clock = std::chrono::steady_clock;

/// The order of an answer means nothing: name servers rotate it.
bool same(const std::vector<resolved_address>& a, const std::vector<resolved_address>& b) {
  return a.size() == b.size() && std::is_permutation(a.begin(), a.end(), b.begin());
}

}  // namespace

/// The name of one endpoint.
struct endpoint_resolver::watched {
  explicit watched(boost::asio::io_context& io) : timer(io) {}
  std::size_t upstream = 0, endpoint = 0;
  socket_address address;
  std::chrono::milliseconds interval{0}, patience{0};
  std::vector<resolved_address> known;
  boost::asio::steady_timer timer;
  clock::time_point asked_at{};
  bool asking = false;
};

endpoint_resolver::endpoint_resolver(boost::asio::io_context& io, change_function on_change,
                                     blocking_resolver resolve)
    : io_(io), lookup_(io, std::move(resolve)), on_change_(std::move(on_change)) {}

endpoint_resolver::~endpoint_resolver() = default;

std::vector<resolved_address> endpoint_resolver::already_known(const socket_address& address) const {
  for (const auto& name : names_) {
    if (name->address == address) return name->known;
  }
  return {};
}

void endpoint_resolver::resolve_all(const std::shared_ptr<const settings>& config, resolved_function done) {
  struct collection {
    resolved_endpoints addresses;
    std::size_t open = 1;  // the loop below
    resolved_function done;
  };
  auto all = std::make_shared<collection>();
  all->done = std::move(done);
  all->addresses.resize(config->upstreams.size());
  const std::uint64_t number = ++asked_;
  const auto settle_one = [this, all, number] {
    if (--all->open == 0 && number == asked_) all->done(std::move(all->addresses));
  };
  for (std::size_t u = 0; u < config->upstreams.size(); ++u) {
    const upstream_settings& upstream = config->upstreams[u];
    all->addresses[u].resize(upstream.endpoints.size());
    for (std::size_t e = 0; e < upstream.endpoints.size(); ++e) {
      const socket_address& address = upstream.endpoints[e].address;
      std::vector<resolved_address>& into = all->addresses[u][e];
      into = literal_addresses(address);
      if (into.empty()) into = already_known(address);
      if (!into.empty()) continue;
      ++all->open;
      lookup_.ask(address.host, address.port, upstream.resolve_timeout,
                  [all, u, e, settle_one](lookup_answer answer) {
                    if (answer) all->addresses[u][e] = std::move(*answer);
                    settle_one();
                  });
    }
  }
  boost::asio::post(io_, settle_one);
}

void endpoint_resolver::watch(std::shared_ptr<const settings> config, resolved_endpoints known) {
  stop();
  config_ = std::move(config);
  for (std::size_t u = 0; u < config_->upstreams.size(); ++u) {
    const upstream_settings& upstream = config_->upstreams[u];
    for (std::size_t e = 0; e < upstream.endpoints.size(); ++e) {
      if (!literal_addresses(upstream.endpoints[e].address).empty()) continue;
      auto name = std::make_unique<watched>(io_);
      name->upstream = u;
      name->endpoint = e;
      name->address = upstream.endpoints[e].address;
      name->interval = upstream.resolve_interval;
      name->patience = upstream.resolve_timeout;
      name->known = std::move(known[u][e]);
      name->asked_at = clock::now();
      names_.push_back(std::move(name));
      schedule(*names_.back(), upstream.resolve_interval);
    }
  }
}

void endpoint_resolver::hurry(const socket_address& address) {
  for (const auto& name : names_) {
    if (name->asking || !(name->address == address)) continue;
    const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(clock::now() - name->asked_at);
    const auto wait = std::max(std::chrono::milliseconds{0}, shortest_pause - since);
    if (name->timer.expiry() > clock::now() + wait) schedule(*name, wait);
  }
}

void endpoint_resolver::stop() {
  ++generation_;
  ++asked_;
  names_.clear();
}

void endpoint_resolver::schedule(watched& name, std::chrono::milliseconds wait) {
  name.timer.expires_after(wait);
  name.timer.async_wait([this, &name, generation = generation_](const boost::system::error_code& error) {
    if (!error && generation == generation_) refresh(name);
  });
}

void endpoint_resolver::refresh(watched& name) {
  name.asking = true;
  name.asked_at = clock::now();
  lookup_.ask(name.address.host, name.address.port, name.patience,
              [this, &name, generation = generation_](lookup_answer answer) {
                if (generation != generation_) return;
                name.asking = false;
                on_answer(name, std::move(answer));
                schedule(name, name.interval);
              });
}

void endpoint_resolver::on_answer(watched& name, lookup_answer answer) {
  if (!answer) {
    log_event(log_level::warn, "look-up failed, the last good answer stays",
              {{"endpoint", name.address.text()}, {"cause", answer.error().message()}});
    return;
  }
  if (same(*answer, name.known)) return;
  name.known = std::move(*answer);
  on_change_(config_->upstreams[name.upstream].name, name.endpoint, name.known);
}

}  // namespace weir::proxy
