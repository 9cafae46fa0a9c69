// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/control_query.hpp"
#include "limiter/redis/directory.hpp"

#include <algorithm>
#include <utility>

namespace weir::limiter::redis {
namespace {

namespace asio = boost::asio;
using clock = std::chrono::steady_clock;

/// The masters of a cluster. The map comes from any of its nodes, first from those that answer, then from the
/// configured ones; it is asked for anew, at most once a second, whenever a node is down or says that a slot
/// has moved.
class cluster_directory final : public directory,
                                public node_listener,
                                public std::enable_shared_from_this<cluster_directory> {
 public:
  cluster_directory(std::shared_ptr<node_environment> environment, std::shared_ptr<const session_plan> plan,
                    std::shared_ptr<dial_limiter> dials, directory_listener& listener)
      : environment_(std::move(environment)),
        plan_(std::move(plan)),
        dials_(std::move(dials)),
        listener_(listener),
        timer_(environment_->io.get_executor()) {}

  void start() override { ask(); }
  [[nodiscard]] bool splits() const noexcept override { return true; }

  [[nodiscard]] node* find(std::uint16_t slot) override {
    const std::uint16_t number = table_.node(slot);
    if (number != slot_table::unknown) return nodes_[number].get();
    doubt();
    // any of them says who has it
    const auto known =
        std::find_if(nodes_.begin(), nodes_.end(), [](const auto& one) { return one && one->available(); });
    return known == nodes_.end() ? nullptr : known->get();
  }
  [[nodiscard]] errc absence() const noexcept override { return failure_; }

  [[nodiscard]] node* follow(const redirection& where, const redis_address& from) override {
    redis_address to = where.to;
    if (to.host.empty()) to.host = from.host;
    const std::uint16_t number = number_of(to);
    if (number == slot_table::unknown) return nullptr;
    if (!where.ask) {
      table_.assign(where.slot, where.slot, number);
      doubt();
    }
    return nodes_[number].get();
  }

  /// The map may be old.
  void doubt() override {
    if (query_ || timer_armed_ || stopped_) return;
    const auto now = clock::now();
    ask_at(std::max(now, asked_at_ + std::chrono::seconds(1)));
  }

  void update(std::shared_ptr<const session_plan> plan) override {
    plan_ = std::move(plan);
    for (const auto& one : nodes_) {
      if (one) one->update(plan_);
    }
  }

  [[nodiscard]] bool available() const noexcept override { return available_; }

  void shutdown() override {
    stopped_ = true;
    timer_.cancel();
    if (query_) query_->cancel();
    for (const auto& one : nodes_) {
      if (one) one->shutdown();
    }
  }

 private:
  void on_node_change(node&) override { judge_available(); }
  void on_node_down(node& which, errc reason) override {
    failure_ = reason;
    const auto found =
        std::find_if(nodes_.begin(), nodes_.end(), [&which](const auto& one) { return one.get() == &which; });
    if (found != nodes_.end() && in_use(static_cast<std::uint16_t>(found - nodes_.begin()))) doubt();
  }

  void judge_available() {
    available_ = mapped_;
    for (std::size_t i = 0; i < nodes_.size() && available_; ++i) {
      if (nodes_[i] && in_use(static_cast<std::uint16_t>(i))) available_ = nodes_[i]->available();
    }
    listener_.on_directory_change();
  }

  [[nodiscard]] bool in_use(std::uint16_t number) const noexcept {
    return number < used_.size() && used_[number];
  }

  /// The node at an address, made when it is new. Unknown: there are too many.
  [[nodiscard]] std::uint16_t number_of(const redis_address& address) {
    const auto known = std::find_if(nodes_.begin(), nodes_.end(),
                                    [&address](const auto& one) { return one && one->address() == address; });
    if (known != nodes_.end()) return static_cast<std::uint16_t>(known - nodes_.begin());
    auto place = std::find(nodes_.begin(), nodes_.end(), nullptr);
    if (place == nodes_.end()) {
      if (nodes_.size() == max_cluster_nodes) return slot_table::unknown;
      place = nodes_.insert(nodes_.end(), nullptr);
    }
    *place = std::make_shared<node>(environment_, plan_, address, false, dials_, *this);
    const auto number = static_cast<std::uint16_t>(place - nodes_.begin());
    nodes_[number]->start();
    return number;
  }

  // ---- The map

  void ask_at(clock::time_point when) {
    timer_armed_ = true;
    timer_.expires_at(when);
    timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      self->timer_armed_ = false;
      if (!error && !self->stopped_) self->ask();
    });
  }

  /// Whom to ask in this round: nodes that answer, then the configured ones.
  [[nodiscard]] std::vector<redis_address> candidates() const {
    std::vector<redis_address> all;
    constexpr std::size_t most_known = 3;
    for (const auto& one : nodes_) {
      if (one && one->available() && all.size() < most_known) all.push_back(one->address());
    }
    if (!all.empty())
      std::rotate(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(round_ % all.size()), all.end());
    const auto& seeds = plan_->settings.nodes;
    for (std::size_t i = 0; i < seeds.size(); ++i) all.push_back(seeds[(round_ + i) % seeds.size()]);
    return all;
  }

  void ask() {
    asked_at_ = clock::now();
    ++round_;
    to_ask_ = candidates();
    next_ = 0;
    ask_next();
  }

  void ask_next() {
    if (next_ == to_ask_.size()) {
      if (!std::exchange(unanswered_, true) && environment_->log)
        environment_->log("warn", "no node of the redis cluster tells who has which slots");
      return ask_at(clock::now() +
                    std::chrono::milliseconds(static_cast<int>(100 + 200 * environment_->uniform())));
    }
    const redis_address whom = to_ask_[next_++];
    query_ = std::make_shared<control_query>(environment_->io, plan_, whom, control_query::login_when::first);
    query_->start({"CLUSTER", "SLOTS"},
                  [this, self = shared_from_this(), whom](errc error, const scanned_reply* reply) {
                    query_ = nullptr;
                    if (stopped_) return;
                    auto map = reply == nullptr ? std::nullopt : parse_cluster_slots(*reply);
                    if (!map || map->empty()) {
                      if (!mapped_ && error != errc::ok) failure_ = error;
                      return ask_next();
                    }
                    unanswered_ = false;
                    use(*map, whom);
                  });
  }

  void use(const std::vector<slot_range>& map, const redis_address& teller) {
    const slot_table before = table_;
    table_.clear();
    used_.assign(max_cluster_nodes, false);
    std::size_t covered = 0;
    for (const slot_range& range : map) {
      redis_address master = range.master;
      if (master.host.empty()) master.host = teller.host;
      const std::uint16_t number = number_of(master);
      if (number == slot_table::unknown) continue;
      table_.assign(range.first, range.last, number);
      used_[number] = true;
      covered += static_cast<std::size_t>(range.last - range.first) + 1;
    }
    if (mapped_ && !(before == table_)) add(environment_->counters.topology_changes);
    mapped_ = covered == slot_count;
    bury_unused();
    judge_available();
    const bool all_connected = std::all_of(nodes_.begin(), nodes_.end(), [](const auto& one) {
      return !one || one->connected() || one->hopeful();
    });
    if (!mapped_ || !all_connected) doubt();
  }

  /// Nodes without slots end when the last call to them has its answer.
  void bury_unused() {
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (!nodes_[i] || in_use(static_cast<std::uint16_t>(i)) || !nodes_[i]->quiet()) continue;
      nodes_[i]->shutdown();
      nodes_[i] = nullptr;
    }
  }

  const std::shared_ptr<node_environment> environment_;
  std::shared_ptr<const session_plan> plan_;
  const std::shared_ptr<dial_limiter> dials_;
  directory_listener& listener_;
  std::vector<std::shared_ptr<node>> nodes_;  // by number; null = free
  std::vector<bool> used_;                    // by number: has slots, as far as the last map tells
  slot_table table_;
  std::shared_ptr<control_query> query_;
  asio::basic_waitable_timer<clock, asio::wait_traits<clock>, asio::io_context::executor_type> timer_;
  std::vector<redis_address> to_ask_;
  std::size_t next_ = 0;
  std::size_t round_ = 0;
  clock::time_point asked_at_{};
  errc failure_ = errc::refused;
  bool mapped_ = false;
  bool available_ = false;
  bool unanswered_ = false;
  bool timer_armed_ = false;
  bool stopped_ = false;
};

}  // namespace

std::shared_ptr<directory> make_cluster_directory(std::shared_ptr<node_environment> environment,
                                                  std::shared_ptr<const session_plan> plan,
                                                  std::shared_ptr<dial_limiter> dials,
                                                  directory_listener& listener) {
  return std::make_shared<cluster_directory>(std::move(environment), std::move(plan), std::move(dials),
                                             listener);
}

}  // namespace weir::limiter::redis
