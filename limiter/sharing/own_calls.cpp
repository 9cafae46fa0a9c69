// SPDX-License-Identifier: Apache-2.0
#include "limiter/sharing/own_calls.hpp"

#include <string>

namespace weir::limiter {

struct own_calls::call final : store_waiter {
  explicit call(own_calls& o) : owner(o) {}
  void on_store_reply(errc, const store_reply&) override {
    charges.clear();
    rules.clear();
    holders.clear();
    owner.idle_.push_back(this);
  }
  own_calls& owner;
  charge_list charges;  // empty: idle
  boost::container::small_vector<std::shared_ptr<const rule>, 4> rules;
  boost::container::small_vector<std::string, 4> holders;
};

own_calls::own_calls(store& to, std::size_t most) : to_(to), most_(most) {}

own_calls::~own_calls() {
  for (const auto& c : calls_) {
    if (!c->charges.empty()) to_.cancel(*c);
  }
}

bool own_calls::send(operation op, std::span<const charge> charges) {
  if (full()) return false;
  if (idle_.empty()) {
    calls_.push_back(std::make_unique<call>(*this));
    idle_.push_back(calls_.back().get());
  }
  call& c = *idle_.back();
  idle_.pop_back();
  for (const charge& original : charges) {
    c.rules.push_back(copy_of(original));
    c.charges.push_back(original);
    c.charges.back().matched = c.rules.back().get();
    c.charges.back().special = nullptr;
    c.holders.emplace_back(original.holder);
  }
  for (std::size_t i = 0; i < c.charges.size(); ++i) c.charges[i].holder = c.holders[i];
  to_.execute(op, c.charges, c);
  return true;
}

std::shared_ptr<const rule> own_calls::copy_of(const charge& c) {
  const rule& r = *c.matched;
  if (rules_.size() <= r.index) rules_.resize(r.index + std::size_t{1});
  std::shared_ptr<const rule>& copy = rules_[r.index];
  if (!copy || copy->rid != r.rid || copy->quota != c.quota())
    copy = std::make_shared<const rule>(as_charged(c));
  return copy;
}

}  // namespace weir::limiter
