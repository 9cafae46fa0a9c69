// SPDX-License-Identifier: Apache-2.0
#include "proxy/runtime/file_watch.hpp"

#include <algorithm>
#include <sys/stat.h>
#include <utility>

namespace weir::proxy {

file_watch::file_watch(boost::asio::io_context& io, std::function<void()> on_change)
    : timer_(io), on_change_(std::move(on_change)) {}

void file_watch::set(std::vector<std::string> paths) {
  std::vector<identity> known;
  for (const std::string& path : paths) {
    const auto before = std::find(paths_.begin(), paths_.end(), path);
    known.push_back(before == paths_.end() ? look_at(path)
                                           : reported_[static_cast<std::size_t>(before - paths_.begin())]);
  }
  paths_ = std::move(paths);
  reported_ = latest_ = std::move(known);
  if (!paths_.empty() && !stopped_) wait();
}

void file_watch::stop() {
  stopped_ = true;
  timer_.cancel();
}

file_watch::identity file_watch::look_at(const std::string& path) {
  struct stat s {};
  if (::stat(path.c_str(), &s) != 0) return {};
  return {s.st_dev, s.st_ino, static_cast<std::uint64_t>(s.st_size),
          static_cast<std::uint64_t>(s.st_mtim.tv_sec), static_cast<std::uint64_t>(s.st_mtim.tv_nsec)};
}

std::vector<file_watch::identity> file_watch::look() const {
  std::vector<identity> all(paths_.size());
  std::transform(paths_.begin(), paths_.end(), all.begin(), look_at);
  return all;
}

void file_watch::wait() {
  timer_.expires_after(interval);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    check();
    if (!paths_.empty() && !stopped_) wait();
  });
}

void file_watch::check() {
  std::vector<identity> now = look();
  const bool settled = now == latest_;
  latest_ = std::move(now);
  if (settled && latest_ != reported_) {
    reported_ = latest_;
    on_change_();  // may set() other files
  }
}

}  // namespace weir::proxy
