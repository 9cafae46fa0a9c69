// SPDX-License-Identifier: Apache-2.0
#include "config/reporter.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <tuple>

namespace weir::config {
namespace {
constexpr std::size_t longest_step = 64;
constexpr std::size_t longest_quote = 64;
}  // namespace

reporter::scope::scope(reporter& r, std::string_view step) : reporter_(r), length_(r.path_.size()) {
  if (length_ != 0 && !step.starts_with('[')) r.path_ += '.';
  r.path_ += step.substr(0, longest_step);
}

void reporter::add(severity s, std::string_view code, const place& at, std::string message, advice more) {
  if (problems_.size() > problems_max) {
    ++left_out_;
    problems_.back().message = fmt::format("and {} more problems", left_out_ + 1);
    return;
  }
  problem p{s,
            std::string{code},
            file_,
            at.line,
            at.column,
            at.width,
            path_,
            std::move(message),
            std::move(more.hint),
            std::move(more.help)};
  problems_.push_back(std::move(p));
  if (problems_.size() > problems_max) {
    // The last place is kept for the count of the rest; it stays an error if anything left out may be one.
    problems_.back() =
        problem{severity::error, std::string{code}, file_, 0, 0, 1, {}, "and 1 more problem", {}, {}};
  }
}

void reporter::forget_behind(const place& at) {
  std::erase_if(problems_,
                [&](const problem& p) { return std::tie(p.line, p.column) > std::tie(at.line, at.column); });
}

void reporter::error(std::string_view code, const place& at, std::string message, advice more) {
  add(severity::error, code, at, std::move(message), std::move(more));
}

void reporter::warn(std::string_view code, const place& at, std::string message, advice more) {
  add(severity::warning, code, at, std::move(message), std::move(more));
}

void reporter::note(std::string_view code, const place& at, std::string message, advice more) {
  add(severity::note, code, at, std::move(message), std::move(more));
}

std::string in_ticks(std::string_view text) {
  std::string out = "`";
  std::size_t end = std::min(text.size(), longest_quote);
  while (end < text.size() && end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  for (const char c : text.substr(0, end)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  out += end < text.size() ? "…`" : "`";
  return out;
}

}  // namespace weir::config
