// SPDX-License-Identifier: Apache-2.0
#include "proxy/replay/replayable.hpp"

#include "proxy/replay/log_knowledge.hpp"

#include <algorithm>
#include <utility>

namespace weir::replay {
namespace {

/// Collects what is left out while the policy is copied.
class reduction {
 public:
  reduction(const proxy::settings& policy, const log_contents& log)
      : policy_(policy), knows_(policy, log), reduced_(policy) {
    result_.user_in_log = log.user;
  }

  replayable_policy run() {
    reduced_.jwt.reset();
    keep_routes();
    keep_listed(policy_.block, reduced_.block, "block", "nothing is on it");
    keep_listed(policy_.exempt, reduced_.exempt, "exempt", "nothing is on it");
    keep_rules();
    leave_out_slots();
    if (knows_.users_are_hashes() && !policy_.users.empty() && !policy_.hash_key_is_kept) {
      result_.notes.emplace_back(
          "users are told apart by hashes that another process, or one started anew, writes differently: set "
          "`hash_key_file`");
    }
    result_.settings = std::make_shared<const proxy::settings>(std::move(reduced_));
    return std::move(result_);
  }

 private:
  void leave_out(std::string what, unknown why, std::string assumed) {
    result_.missing.push_back({std::move(what), std::move(why), std::move(assumed)});
  }

  void keep_routes() {
    reduced_.routes.clear();
    for (proxy::route_settings route : policy_.routes) {
      if (auto why = knows_.lack_of(route.match)) {
        leave_out("route " + route.name, std::move(*why), "no request takes it");
        continue;
      }
      if (route.require_user && knows_.lack_of_user()) {
        route.require_user = false;
        leave_out("require_user of route " + route.name, *knows_.lack_of_user(), "every request has a user");
      }
      route.body_size = proxy::unlimited;  // what was too large never reached the rules
      knows_.translate_users(route.match);
      reduced_.routes.push_back(std::move(route));
    }
  }

  void keep_listed(const std::vector<proxy::listed_requests>& from, std::vector<proxy::listed_requests>& to,
                   const std::string& section, const std::string& assumed) {
    to.clear();
    for (proxy::listed_requests item : from) {
      auto why = knows_.lack_of(item.match);
      if (!why && item.by) why = knows_.lack_of_values(*item.by);
      if (why) {
        leave_out(section + " " + item.reason, std::move(*why), assumed);
        continue;
      }
      knows_.translate_users(item.match);
      to.push_back(std::move(item));
    }
  }

  void keep_rules() {
    std::vector<limiter::rule> kept;
    for (limiter::rule rule : policy_.policy.rules()) {
      if (auto why = knows_.lack_of(rule)) {
        leave_out("rule " + rule.name, std::move(*why), "it lets everything through");
        continue;
      }
      knows_.translate_users(rule.match);
      rule.index = static_cast<std::uint32_t>(kept.size());
      kept.push_back(std::move(rule));
    }
    reduced_.policy = limiter::policy_set(std::move(kept));
  }

  /// How long a request holds its slot depends on what the upstream does under the load of this policy.
  void leave_out_slots() {
    for (const limiter::rule& limit : policy_.concurrency.rules()) {
      leave_out("concurrency " + limit.name,
                {"requests at the same time, and how long they would wait, are not in a log", ""},
                "there is always a slot");
    }
    reduced_.concurrency = {};
  }

  const proxy::settings& policy_;
  log_knowledge knows_;
  proxy::settings reduced_;
  replayable_policy result_;
};

}  // namespace

replayable_policy reduce(const proxy::settings& policy, const log_contents& log) {
  return reduction(policy, log).run();
}

}  // namespace weir::replay
