// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/control_query.hpp"
#include "limiter/redis/directory.hpp"
#include "limiter/redis/sentinel_search.hpp"

#include <algorithm>
#include <utility>

namespace weir::limiter::redis {
namespace {

namespace asio = boost::asio;
using clock = std::chrono::steady_clock;

/// The master that the sentinels name. While it does not answer they are asked again and again; a node that
/// turns out to be a replica, or becomes one, is left.
class sentinel_directory final : public directory,
                                 public node_listener,
                                 public std::enable_shared_from_this<sentinel_directory> {
 public:
  sentinel_directory(std::shared_ptr<node_environment> environment, std::shared_ptr<const session_plan> plan,
                     std::shared_ptr<dial_limiter> dials, directory_listener& listener)
      : environment_(std::move(environment)),
        plan_(std::move(plan)),
        dials_(std::move(dials)),
        listener_(listener),
        search_(plan_->settings.nodes),
        timer_(environment_->io.get_executor()) {}

  void start() override { ask(); }
  [[nodiscard]] bool splits() const noexcept override { return false; }
  [[nodiscard]] node* find(std::uint16_t) override { return master_.get(); }
  [[nodiscard]] errc absence() const noexcept override { return failure_; }
  [[nodiscard]] node* follow(const redirection&, const redis_address&) override { return nullptr; }
  void doubt() override {}

  void update(std::shared_ptr<const session_plan> plan) override {
    plan_ = std::move(plan);
    if (master_) master_->update(plan_);
  }

  [[nodiscard]] bool available() const noexcept override { return master_ && master_->available(); }

  void shutdown() override {
    stopped_ = true;
    timer_.cancel();
    if (query_) query_->cancel();
    if (master_) master_->shutdown();
    for (const auto& left : left_) left->shutdown();
  }

 private:
  void on_node_change(node& which) override {
    if (&which != master_.get()) return;
    if (which.connected()) search_.settled();
    listener_.on_directory_change();
  }

  void on_node_down(node& which, errc reason) override {
    if (stopped_ || &which != master_.get()) return;
    failure_ = reason;
    ask_after(std::exchange(was_up_, false) ? clock::duration::zero()
                                            : search_.disproved(environment_->uniform()));
  }

  void ask_after(clock::duration pause) {
    if (query_ || timer_armed_ || stopped_) return;
    timer_armed_ = true;
    timer_.expires_after(pause);
    timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      self->timer_armed_ = false;
      if (!error && !self->stopped_) self->ask();
    });
  }

  void ask() {
    bury_quiet();
    if (master_ && master_->connected()) {
      was_up_ = true;
      return;
    }
    query_ = std::make_shared<control_query>(environment_->io, plan_, search_.sentinel(),
                                             control_query::login_when::asked);
    query_->start({"SENTINEL", "GET-MASTER-ADDR-BY-NAME", plan_->settings.master},
                  [this, self = shared_from_this()](errc error, const scanned_reply* reply) {
                    query_ = nullptr;
                    if (stopped_) return;
                    auto found = reply == nullptr ? std::nullopt : parse_master_address(*reply);
                    if (!found) return on_no_answer(error);
                    unanswered_ = false;
                    search_.answered();
                    use(std::move(*found));
                  });
  }

  void on_no_answer(errc error) {
    if (!master_) failure_ = error == errc::ok ? errc::refused : error;
    if (!std::exchange(unanswered_, true) && environment_->log) {
      environment_->log("warn", "the sentinel " + search_.sentinel().text() + what_is_wrong(error));
    }
    ask_after(search_.failed(environment_->uniform()));
  }

  [[nodiscard]] std::string what_is_wrong(errc error) const {
    const bool has_login = !plan_->settings.password.empty();
    if (error == errc::auth) return has_login ? " refuses the store's login" : " wants a login";
    if (error != errc::ok) return " does not answer (" + std::string(to_string(error)) + ")";
    return " does not know the master `" + plan_->settings.master + "`";
  }

  void use(redis_address address) {
    was_up_ = true;
    // the same one: it dials by itself, and says if it fails
    if (master_ && master_->address() == address) return ask_after(sentinel_search::last_pause);
    if (master_) {
      add(environment_->counters.topology_changes);
      left_.push_back(std::move(master_));
    }
    master_ = std::make_shared<node>(environment_, plan_, std::move(address), true, dials_, *this);
    master_->start();
    listener_.on_directory_change();
    bury_quiet();
  }

  /// Former masters end when the last call to them has its answer.
  void bury_quiet() {
    std::erase_if(left_, [](const auto& left) {
      if (!left->quiet()) return false;
      left->shutdown();
      return true;
    });
    if (!left_.empty()) ask_after(sentinel_search::last_pause);
  }

  const std::shared_ptr<node_environment> environment_;
  std::shared_ptr<const session_plan> plan_;
  const std::shared_ptr<dial_limiter> dials_;
  directory_listener& listener_;
  sentinel_search search_;
  std::shared_ptr<node> master_;
  std::vector<std::shared_ptr<node>> left_;
  std::shared_ptr<control_query> query_;
  asio::basic_waitable_timer<clock, asio::wait_traits<clock>, asio::io_context::executor_type> timer_;
  errc failure_ = errc::refused;
  bool was_up_ = false;  // since the last question: then ask at once
  bool unanswered_ = false;
  bool timer_armed_ = false;
  bool stopped_ = false;
};

}  // namespace

std::shared_ptr<directory> make_sentinel_directory(std::shared_ptr<node_environment> environment,
                                                   std::shared_ptr<const session_plan> plan,
                                                   std::shared_ptr<dial_limiter> dials,
                                                   directory_listener& listener) {
  return std::make_shared<sentinel_directory>(std::move(environment), std::move(plan), std::move(dials),
                                              listener);
}

}  // namespace weir::limiter::redis
