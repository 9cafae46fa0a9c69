// SPDX-License-Identifier: Apache-2.0
#include "proxy/replay/reorder_window.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace weir::replay {

reorder_window::reorder_window(std::size_t size) : size_(size) {
  assert(size > 0);
  queue_.reserve(size);
}

bool reorder_window::later(const place& a, const place& b) noexcept {
  return a.arrival_us != b.arrival_us ? a.arrival_us > b.arrival_us : a.number > b.number;
}

held_line& reorder_window::spare() {
  assert(!full());
  if (lent_ != nullptr) spare_.push_back(std::exchange(lent_, nullptr));
  if (spare_.empty()) {
    lines_.push_back(std::make_unique<held_line>());
    spare_.push_back(lines_.back().get());
  }
  return *spare_.back();
}

void reorder_window::hold() {
  held_line* line = spare_.back();
  spare_.pop_back();
  line->arrival_us = line->request.arrival_us();
  if (line->arrival_us < handed_out_us_) {
    line->arrival_us = handed_out_us_;
    ++late_;
  }
  queue_.push_back({line->arrival_us, line->number, line});
  std::push_heap(queue_.begin(), queue_.end(), later);
}

const held_line& reorder_window::next() {
  assert(!empty());
  if (lent_ != nullptr) spare_.push_back(lent_);
  std::pop_heap(queue_.begin(), queue_.end(), later);
  lent_ = queue_.back().line;
  queue_.pop_back();
  handed_out_us_ = lent_->arrival_us;
  return *lent_;
}

}  // namespace weir::replay
