// SPDX-License-Identifier: Apache-2.0
#include "proxy/runtime/file_watch.hpp"

#include "proxy/observe/own_log.hpp"
#include "proxy/runtime/watched_directories.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>
#include <sys/inotify.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace weir::proxy {

namespace {

constexpr std::uint32_t anything = IN_ATTRIB | IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_DELETE_SELF |
                                   IN_MODIFY | IN_MOVE | IN_MOVE_SELF | IN_ONLYDIR;

}  // namespace

file_watch::file_watch(boost::asio::io_context& io, std::function<void()> on_change)
    : timer_(io), events_(io), on_change_(std::move(on_change)) {}

void file_watch::set(const std::vector<source_file>& files) {
  if (stopped_) return;
  paths_.clear();
  reported_.clear();
  for (const source_file& file : files) {
    paths_.push_back(file.path);
    reported_.push_back(file.stamp);
  }
  watch_directories();
  latest_ = look();  // after the watches: what changes from here on is an event
  look_again_after(unsettled() ? debounce : hears() ? interval : interval_without_events);
  wait_for_event();
}

void file_watch::stop() {
  stopped_ = true;
  timer_.cancel();
  boost::system::error_code ignored;
  events_.close(ignored);
}

std::vector<file_stamp> file_watch::look() const {
  std::vector<file_stamp> all(paths_.size());
  std::transform(paths_.begin(), paths_.end(), all.begin(),
                 [](const std::string& path) { return stamp_of(path); });
  return all;
}

void file_watch::look_again_after(std::chrono::milliseconds pause) {
  if (paths_.empty()) return;
  timer_.expires_after(pause);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error && !stopped_) check();
  });
}

void file_watch::check() {
  const bool stirred = take_events();
  std::vector<file_stamp> now = look();
  const bool settled = now == latest_;
  latest_ = std::move(now);
  if (stirred || unsettled()) watch_directories();
  if (settled && unsettled()) {
    reported_ = latest_;
    on_change_();  // may set() other files
  }
  look_again_after(unsettled() ? debounce : hears() ? interval : interval_without_events);
  wait_for_event();
}

// ---- events ----

/// The look that follows at once begins the debounce; the next event is heard when it is over.
void file_watch::wait_for_event() {
  if (!events_.is_open() || unsettled() || std::exchange(waiting_, true)) return;
  events_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                     [this](const boost::system::error_code& error) {
                       waiting_ = false;
                       if (error || stopped_) return;
                       latest_ = look();
                       look_again_after(debounce);
                     });
}

/// What they say does not matter: a look tells what is so now.
bool file_watch::take_events() {
  std::array<char, 16 * 1024> piece;
  bool any = false;
  while (events_.is_open() && ::read(events_.native_handle(), piece.data(), piece.size()) > 0) any = true;
  return any;
}

void file_watch::watch_directories() {
  std::set<std::string> wanted;
  for (const std::string& path : paths_) add_deciding_directories(wanted, path);
  if (!events_.is_open()) {
    const int fd = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (fd < 0) return cannot_hear("inotify");
    events_.assign(fd);
  }
  std::map<std::string, int> now;
  bool all = true;
  for (const std::string& directory : wanted) {
    const int watch = ::inotify_add_watch(events_.native_handle(), directory.c_str(), anything);
    if (watch >= 0) {
      now.emplace(directory, watch);
    } else if (errno != ENOENT) {  // it has just gone, which is an event in the directory above
      all = false;
      cannot_hear(directory.c_str());
    }
  }
  for (const auto& [directory, watch] : directories_) {
    const bool used =
        std::any_of(now.begin(), now.end(), [w = watch](const auto& d) { return d.second == w; });
    if (!used) ::inotify_rm_watch(events_.native_handle(), watch);
  }
  directories_ = std::move(now);
  if (all) complaint_.clear();
}

void file_watch::cannot_hear(const char* what) {
  std::string complaint = std::string(what) + ": " + std::system_category().message(errno);
  if (complaint == complaint_) return;
  complaint_ = std::move(complaint);
  log_event(log_level::warn, "no events of files: they are looked at once a second", {{"cause", complaint_}});
}

}  // namespace weir::proxy
