// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/load/clients.hpp"

#include <algorithm>
#include <charconv>
#include <stdexcept>
#include <utility>

namespace weir::bench {

namespace {
constexpr std::size_t latencies_max = 4'000'000;
constexpr std::uint64_t lost_max = 1'000;  // more, and the peer is broken
constexpr nanoseconds forever = 100'000'000;
}  // namespace

void tally::clear() {
  ok = limited = other = lost = 0;
  latencies_us.clear();
}

class client final : public connection {
 public:
  client(clients& owner, int fd) : connection(fd), owner_(owner) {}

  void ask(std::string_view request, nanoseconds due) {
    due_ = due;
    waiting_ = true;
    write(request);
    tell_if_closed();
  }

  [[nodiscard]] nanoseconds due() const noexcept { return due_; }

  void on_ready(bool ends) override {
    flush();
    read_all(ends, [this](std::string_view got) { take(got); });
    tell_if_closed();
  }

 private:
  void take(std::string_view got) {
    if (left_ > 0) {
      left_ -= std::min(left_, got.size());
      if (left_ == 0) finish();
      return;
    }
    head_ += got;
    const std::size_t end = head_.find("\r\n\r\n");
    if (end == std::string::npos || !waiting_) return;
    std::from_chars(head_.data() + 9, head_.data() + 12, status_);
    const std::size_t body = content_length({head_.data(), end + 2});
    left_ = body - std::min(body, head_.size() - end - 4);
    head_.clear();
    if (left_ == 0) finish();
  }

  void tell_if_closed() {
    if (closed() && !std::exchange(told_, true)) owner_.lost(*this);
  }

  void finish() {
    waiting_ = false;
    owner_.answered(*this, status_);
  }

  clients& owner_;
  std::string head_;
  std::size_t left_ = 0;
  int status_ = 0;
  nanoseconds due_ = 0;
  bool waiting_ = false;
  bool told_ = false;
};

clients::clients(loop& where, const load& what) : where_(where), load_(what) {
  tally_.latencies_us.reserve(latencies_max);
  prefix_ = what.body > 0
                ? "POST /bench/post HTTP/1.1\r\nContent-Length: " + std::to_string(what.body) + "\r\n"
                : "GET /bench/get HTTP/1.1\r\n";
  prefix_ += "Host: bench.local\r\nUser-Agent: weir-bench\r\nAccept: */*\r\nX-User-Id: user-";
  suffix_ = "\r\n\r\n" + std::string(what.body, 'y');
  for (std::size_t i = 0; i < what.connections; ++i) {
    all_.push_back(&open());
    if (i % 100 == 99) where_.turn(1'000'000);  // the peer accepts meanwhile
  }
}

clients::~clients() = default;

client& clients::open() {
  return static_cast<client&>(where_.add(std::make_unique<client>(*this, connect_to(load_.port))));
}

void clients::start() {
  asking_ = true;
  started_ = now_ns();
  if (load_.rate > 0) {
    idle_.assign(all_.begin(), all_.end());
    return;
  }
  for (client* const each : all_) ask(*each, started_);
}

void clients::ask(client& by, nanoseconds due) {
  request_.assign(prefix_).append(std::to_string((load_.first + asked_++) % load_.users)).append(suffix_);
  by.ask(request_, due);
}

nanoseconds clients::advance(nanoseconds now) {
  if (load_.rate <= 0 || !asking_) return forever;
  for (;;) {
    const nanoseconds due =
        started_ + static_cast<nanoseconds>(static_cast<double>(asked_) * 1e9 / load_.rate);
    if (due > now) return due - now;
    if (idle_.empty()) return forever;  // it waits for an answer, and its time runs
    client* const next = idle_.front();
    idle_.pop_front();
    ask(*next, due);
  }
}

void clients::answered(client& by, int status) {
  const nanoseconds now = now_ns();
  ++(status / 100 == 2 ? tally_.ok : status == 429 ? tally_.limited : tally_.other);
  if (tally_.latencies_us.size() < latencies_max) {
    tally_.latencies_us.push_back(static_cast<float>(now - by.due()) / 1000);
  }
  if (load_.rate > 0) {
    idle_.push_back(&by);
  } else if (asking_) {
    ask(by, now);
  }
}

void clients::lost(client& by) {
  if (!asking_) return;
  if (++tally_.lost > lost_max) throw std::runtime_error("the peer closes its connections");
  std::erase(idle_, &by);
  client& instead = open();
  *std::find(all_.begin(), all_.end(), &by) = &instead;
  if (load_.rate > 0) {
    idle_.push_back(&instead);
  } else {
    ask(instead, now_ns());
  }
}

}  // namespace weir::bench
