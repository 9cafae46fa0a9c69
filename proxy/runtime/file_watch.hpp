// SPDX-License-Identifier: Apache-2.0
// Tells when one of a few files is replaced or rewritten.
#pragma once

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace weir::proxy {

/// Asks the kernel for each file once a second: what is mounted into a container changes by a link on a
/// folder far away, which no watch of the file itself would see. A change is reported when a further second
/// brought no other, so that a certificate and its key are read together. For the main thread.
class file_watch {
 public:
  file_watch(boost::asio::io_context& io, std::function<void()> on_change);

  /// The files will be read now: what they are like from here on is known.
  void about_to_read() { reported_ = latest_ = look(); }
  /// Watches these files instead. What was known of those watched before stays known.
  void set(std::vector<std::string> paths);
  void stop();
  /// One look; called by its own timer.
  void check();

 private:
  /// Device, inode, size, seconds and nanoseconds of its last change; zeros: not there.
  using identity = std::array<std::uint64_t, 5>;
  [[nodiscard]] static identity look_at(const std::string& path);
  [[nodiscard]] std::vector<identity> look() const;
  void wait();

  static constexpr std::chrono::milliseconds interval{1000};

  boost::asio::steady_timer timer_;
  std::function<void()> on_change_;
  std::vector<std::string> paths_;
  std::vector<identity> reported_, latest_;
  bool stopped_ = false;
};

}  // namespace weir::proxy
