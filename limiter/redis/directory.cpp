// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/directory.hpp"

#include <utility>

namespace weir::limiter::redis {
namespace {

/// One server that has everything.
class single_directory final : public directory, public node_listener {
 public:
  single_directory(std::shared_ptr<node_environment> environment, std::shared_ptr<const session_plan> plan,
                   std::shared_ptr<dial_limiter> dials, directory_listener& listener)
      : listener_(listener) {
    const redis_settings& s = plan->settings;
    redis_address address{.host = s.host, .port = s.port, .unix_path = s.unix_path};
    node_ = std::make_shared<node>(std::move(environment), std::move(plan), std::move(address), false,
                                   std::move(dials), *this);
  }

  void start() override { node_->start(); }
  [[nodiscard]] bool splits() const noexcept override { return false; }
  [[nodiscard]] node* find(std::uint16_t) override { return node_.get(); }
  [[nodiscard]] errc absence() const noexcept override { return errc::refused; }
  [[nodiscard]] node* follow(const redirection&, const redis_address&) override { return nullptr; }
  void doubt() override {}
  void update(std::shared_ptr<const session_plan> plan) override { node_->update(std::move(plan)); }
  [[nodiscard]] bool available() const noexcept override { return node_->available(); }
  void shutdown() override { node_->shutdown(); }

 private:
  void on_node_change(node&) override { listener_.on_directory_change(); }
  void on_node_down(node&, errc) override {}

  directory_listener& listener_;
  std::shared_ptr<node> node_;
};

}  // namespace

std::shared_ptr<directory> make_directory(std::shared_ptr<node_environment> environment,
                                          std::shared_ptr<const session_plan> plan,
                                          std::shared_ptr<dial_limiter> dials, directory_listener& listener) {
  switch (plan->settings.topology) {
    case redis_topology::sentinel:
      return make_sentinel_directory(std::move(environment), std::move(plan), std::move(dials), listener);
    case redis_topology::cluster:
      return make_cluster_directory(std::move(environment), std::move(plan), std::move(dials), listener);
    case redis_topology::single:
      break;
  }
  return std::make_shared<single_directory>(std::move(environment), std::move(plan), std::move(dials),
                                            listener);
}

}  // namespace weir::limiter::redis
