// SPDX-License-Identifier: Apache-2.0
#include "proxy/cli/progress_bar.hpp"

#include "proxy/replay/report_words.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fmt/format.h>
#include <string_view>
#include <unistd.h>

namespace weir::cli {
namespace {

constexpr std::uint64_t width = 30;
constexpr std::chrono::milliseconds pause{100};

bool can_draw() {
  const char* term = std::getenv("TERM");
  return ::isatty(STDERR_FILENO) == 1 && (term == nullptr || std::string_view(term) != "dumb");
}

}  // namespace

progress_bar::progress_bar() : on_terminal_(can_draw()) {}

progress_bar::~progress_bar() {
  if (drawn_) std::fputs("\r\x1b[K", stderr);
}

void progress_bar::show(std::uint64_t bytes, std::uint64_t of_bytes, std::uint64_t lines) {
  if (!on_terminal_) return;
  const auto now = clock::now();
  if (now < next_) return;
  next_ = now + pause;
  drawn_ = true;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  std::string text = "\r";
  if (of_bytes > 0) {
    const std::uint64_t done = std::min(width, bytes * width / of_bytes);
    text += fmt::format("{:3} % [{:#<{}}{:.<{}}] ", std::min<std::uint64_t>(100, bytes * 100 / of_bytes), "",
                        done, "", width - done);
  }
  const auto rate = static_cast<std::uint64_t>(static_cast<double>(lines) / std::max(seconds, 0.001));
  text += fmt::format("{} lines, {}/s\x1b[K", replay::grouped(lines), replay::grouped(rate));
  std::fputs(text.c_str(), stderr);
}

}  // namespace weir::cli
