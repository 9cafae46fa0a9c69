// SPDX-License-Identifier: Apache-2.0
#include "proxy/runtime/reloader.hpp"

#include "limiter/policy_change.hpp"
#include "proxy/observe/own_log.hpp"
#include "proxy/runtime/clock.hpp"
#include "proxy/runtime/fatal_signals.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <exception>
#include <fmt/format.h>
#include <utility>

namespace weir::proxy {

namespace {

constexpr std::size_t longest_name_list = 20;

std::string list_of(const std::vector<std::string>& names) {
  const auto shown = std::min(names.size(), longest_name_list);
  const auto end = names.begin() + static_cast<std::ptrdiff_t>(shown);
  std::string text = fmt::format("{}", fmt::join(names.begin(), end, " "));
  if (shown < names.size()) text += fmt::format(" and {} more", names.size() - shown);
  return text;
}

/// Names of rules and limits by what became of them.
class fates {
 public:
  fates(const settings& before, const settings& after) {
    add(limiter::compare_rules(before.policy.rules(), after.policy.rules()));
    add(limiter::compare_rules(before.concurrency.rules(), after.concurrency.rules()));
  }
  [[nodiscard]] std::string text(limiter::rule_fate fate) const { return list_of(names_[index(fate)]); }

 private:
  static std::size_t index(limiter::rule_fate fate) noexcept { return static_cast<std::size_t>(fate); }
  void add(const std::vector<limiter::rule_change>& changes) {
    for (const auto& change : changes) names_[index(change.fate)].push_back(change.name);
  }
  std::array<std::vector<std::string>, 5> names_;
};

void log_taken_over(std::string_view why, const settings& before, const settings& after) {
  using fate = limiter::rule_fate;
  const fates rules{before, after};
  log_event(log_level::info, "reloaded",
            {{"why", std::string(why)},
             {"config_hash", before.hash + " -> " + after.hash},
             {"files", list_of(changed_files(before.files, after.files))},
             {"rules_kept", rules.text(fate::kept)},
             {"rules_changed", rules.text(fate::changed)},
             {"rules_reset", rules.text(fate::reset)},
             {"rules_new", rules.text(fate::added)},
             {"rules_removed", rules.text(fate::removed)}});
}

}  // namespace

/// One reading: what it was for, and what came of it.
struct reloader::loaded {
  std::string why;
  std::uint64_t answers = 0;  // the questions up to this number
  prepared_config from;       // what was in use when it began
  reload_outcome outcome;
  std::shared_ptr<const tls::context_set> tls;
};

reloader::reloader(boost::asio::io_context& io, const reload_function& read, endpoint_resolver& resolver,
                   apply_function apply)
    : io_(io),
      read_(read),
      resolver_(resolver),
      apply_(std::move(apply)),
      watch_(io, [this] { request("a file changed"); }),
      retired_timer_(io) {
  boost::asio::post(thread_, [] {  // signals are for the main thread
    const sigset_t all = all_but_fatal_signals();
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    pthread_setname_np(pthread_self(), "weir-reload");
  });
}

reloader::~reloader() {
  thread_.join();
}

void reloader::start(prepared_config current) {
  current_ = std::move(current);
  last_success_s_ = wall_now_us() / 1'000'000;
  watch_.set(current_.config->files);
}

void reloader::stop() {
  stopped_ = true;
  watch_.stop();
  retired_timer_.cancel();
  questions_.clear();
}

void reloader::request(std::string why, reload_answer done) {
  if (stopped_) return;
  questions_.push_back({++asked_, std::move(done)});
  if (loading_) {
    next_why_ = std::move(why);
  } else {
    load(std::move(why));
  }
}

// ---- on the thread ----

void reloader::load(std::string why) {
  loading_ = true;
  auto what = std::make_shared<loaded>();
  what->why = std::move(why);
  what->answers = asked_;
  what->from = current_;
  watch_.about_to_read();
  boost::asio::post(thread_, [this, what] {
    try {
      what->outcome = read_(*what->from.config);
      if (what->outcome.settings)
        what->tls =
            tls::make_contexts(*what->outcome.settings, what->from.config.get(), what->from.tls.get());
    } catch (const std::exception& error) {  // key material that cannot be used, or no memory
      what->outcome.settings = nullptr;
      what->outcome.problems = error.what();
    }
    boost::asio::post(io_, [this, what] { on_loaded(what); });
  });
}

// ---- back on the main thread ----

void reloader::on_loaded(const std::shared_ptr<loaded>& what) {
  loading_ = false;
  if (stopped_) return;
  watch_.set(what->outcome.files);
  decide(what);
  if (!next_why_.empty()) load(std::exchange(next_why_, {}));
}

void reloader::decide(const std::shared_ptr<loaded>& what) {
  const std::shared_ptr<const settings>& next = what->outcome.settings;
  resolver_.forget_pending();  // an earlier reload that still waits for names is overtaken
  if (!next) return reject(*what, what->outcome.problems);
  if (!same_content(next->files, current_.config->files)) {
    return resolver_.resolve_all(
        next, [this, what](const resolved_endpoints& addresses) { take_over(what, addresses); });
  }
  error_.clear();
  last_success_s_ = wall_now_us() / 1'000'000;
  log_event(log_level::info, "reload: unchanged", {{"why", what->why}, {"config_hash", next->hash}});
  finish(*what, {reload_result::unchanged, next->hash, next->hash, {}});
}

void reloader::take_over(const std::shared_ptr<loaded>& what, const resolved_endpoints& addresses) {
  prepared_config next{what->outcome.settings, what->tls};
  try {
    apply_(next, addresses);
  } catch (const std::runtime_error& error) {
    return reject(*what, error.what());
  }
  std::swap(current_, next);
  error_.clear();
  last_success_s_ = wall_now_us() / 1'000'000;
  log_taken_over(what->why, *next.config, *current_.config);
  finish(*what, {reload_result::ok, next.config->hash, current_.config->hash, {}});
  retire(std::move(next.config));
}

void reloader::reject(const loaded& what, std::string problems) {
  error_ = problems.substr(0, problems.find('\n'));
  const std::string& hash = current_.config->hash;
  log_event(log_level::error, "reload refused, the running configuration stays",
            {{"why", what.why}, {"config_hash", hash}, {"problems", problems}});
  finish(what, {reload_result::rejected, hash, hash, std::move(problems)});
}

void reloader::finish(const loaded& what, const reload_report& report) {
  ++counts_[static_cast<std::size_t>(report.result)];
  if (report.result != reload_result::ok) retire(what.outcome.settings);
  while (!questions_.empty() && questions_.front().number <= what.answers) {
    const reload_answer done = std::move(questions_.front().done);
    questions_.pop_front();
    if (done) done(report);
  }
}

// ---- what is left behind ----

/// Freeing a million rows takes milliseconds, and the last to let go may be a request on a worker: so the
/// last is always this.
void reloader::retire(std::shared_ptr<const settings> old) {
  if (!old) return;
  retired_.push_back(std::move(old));
  if (retired_.size() == 1) look_after_retired();
}

void reloader::look_after_retired() {
  retired_timer_.expires_after(retired_interval);
  retired_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error || stopped_) return;
    free_retired();
    if (!retired_.empty()) look_after_retired();
  });
}

void reloader::free_retired() {
  const auto unused =
      std::partition(retired_.begin(), retired_.end(), [](const auto& old) { return old.use_count() > 1; });
  for (auto at = unused; at != retired_.end(); ++at) {
    boost::asio::post(thread_, [old = std::move(*at)]() mutable { old.reset(); });
  }
  retired_.erase(unused, retired_.end());
}

}  // namespace weir::proxy
