// SPDX-License-Identifier: Apache-2.0
// Tells when one of a few files is replaced or rewritten.
#pragma once

#include "proxy/source_file.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace weir::proxy {

/// Hears of anything that happens in the directories of its files, those of links on the way included: an
/// editor replaces the file, a mounted volume a link above it. Then it asks the kernel for each file, and
/// reports a change when a further look after `debounce` finds no other, so that what is written in several
/// steps is read once. What no event tells, such as a change made by another machine, a look every `interval`
/// finds. Without inotify that is one every `interval_without_events`, and the log says so. Work done for
/// events of other files is bounded: one look in each `debounce`. For the main thread.
class file_watch {
 public:
  static constexpr std::chrono::milliseconds debounce{200};
  static constexpr std::chrono::milliseconds interval{10'000};
  static constexpr std::chrono::milliseconds interval_without_events{1000};

  file_watch(boost::asio::io_context& io, std::function<void()> on_change);

  /// The files will be read now: what they are like from here on is known.
  void about_to_read() { reported_ = latest_ = look(); }
  /// Watches these files instead, which were like their stamps when they were read.
  void set(const std::vector<source_file>& files);
  void stop();
  /// One look; called by its own timer.
  void check();
  /// False: no events, only looks.
  [[nodiscard]] bool hears() const noexcept { return complaint_.empty(); }

 private:
  [[nodiscard]] std::vector<file_stamp> look() const;
  [[nodiscard]] bool unsettled() const noexcept { return latest_ != reported_; }
  void look_again_after(std::chrono::milliseconds pause);
  void wait_for_event();
  [[nodiscard]] bool take_events();
  void watch_directories();
  void cannot_hear(const char* what);

  boost::asio::steady_timer timer_;
  boost::asio::posix::stream_descriptor events_;  // of inotify; closed: there is none
  std::function<void()> on_change_;
  std::vector<std::string> paths_;
  std::vector<file_stamp> reported_, latest_;  // by paths_
  std::map<std::string, int> directories_;     // with their watches
  std::string complaint_;                      // why events are missing; empty: they are not
  bool waiting_ = false;                       // for an event
  bool stopped_ = false;
};

}  // namespace weir::proxy
