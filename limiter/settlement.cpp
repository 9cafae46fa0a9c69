// SPDX-License-Identifier: Apache-2.0
#include "limiter/settlement.hpp"

#include <algorithm>
#include <cassert>

namespace weir::limiter {

/// One call on its way; keeps alive and in place what the store reads.
class settler::order final : public store_waiter {
 public:
  explicit order(settler& owner) : owner_(owner) {}

  void send(store& to, operation op, const charge& what, const rule& reported,
            std::shared_ptr<const void> keep, std::int64_t units_of_one) {
    where = &to;
    units = units_of_one;
    done = op;
    sent_us = owner_.now_us();
    rule_decided = &reported;
    keep_ = std::move(keep);
    what_ = what;
    assert(what.holder.size() <= holder_.size());
    what_.holder = {holder_.data(), std::min(what.holder.size(), holder_.size())};
    std::copy_n(what.holder.data(), what_.holder.size(), holder_.data());
    to.execute(op, {&what_, 1}, *this);
  }

  void on_store_reply(errc error, const store_reply& reply) override { owner_.finished(*this, error, reply); }

  [[nodiscard]] const charge& what() const noexcept { return what_; }
  void clear() noexcept {
    keep_.reset();
    where = nullptr;
  }

  store* where = nullptr;  ///< null: idle
  operation done = operation::refund;
  std::int64_t sent_us = 0;
  std::int64_t units = 1;
  const rule* rule_decided = nullptr;

 private:
  settler& owner_;
  charge what_;
  std::array<char, max_holder> holder_{};
  std::shared_ptr<const void> keep_;
};

settler::settler(settlement_observer* observer) : observer_(observer) {}

settler::~settler() {
  for (const auto& o : orders_) {
    if (o->where != nullptr) o->where->cancel(*o);
  }
}

void settler::send(store& where, operation op, const charge& what, const rule& reported,
                   std::shared_ptr<const void> keep, std::int64_t units) noexcept {
  settled lost{.matched = &reported, .subject = what.subject, .failure = errc::overloaded};
  if (op == operation::take_upto) lost.uncollected = what.cost / units;
  if (outstanding_ == max_outstanding) return report(lost);
  try {
    if (idle_.empty()) {
      idle_.reserve(orders_.size() + 1);  // so that giving one back never allocates
      orders_.push_back(std::make_unique<order>(*this));
      idle_.push_back(orders_.back().get());
    }
    order& next = *idle_.back();
    idle_.pop_back();
    ++outstanding_;
    next.send(where, op, what, reported, std::move(keep), units);
  } catch (...) {
    // No memory: as an order that was lost. If the store may still answer, its place stays taken.
    report(lost);
  }
}

void settler::exact(const rule& reported, const subject_key& subject, std::int64_t units) noexcept {
  report({.matched = &reported, .subject = subject, .exact = units});
}

void settler::lost(const rule& reported, const subject_key& subject) noexcept {
  report({.matched = &reported, .subject = subject, .failure = errc::overloaded});
}

void settler::finished(order& o, errc failure, const store_reply& reply) noexcept {
  settled what{.matched = o.rule_decided,
               .subject = o.what().subject,
               .failure = failure,
               .took_us = now_us() - o.sent_us};
  const std::int64_t cost = o.what().cost / o.units;
  if (o.done == operation::take_upto) {
    what.extra = failure == errc::ok && !reply.states.empty() ? reply.states.front().granted / o.units : 0;
    what.uncollected = cost - what.extra;
  } else if (o.done == operation::refund && failure == errc::ok) {
    what.refunded = cost;
  }
  report(what);
  o.clear();
  --outstanding_;
  idle_.push_back(&o);
}

void settler::report(const settled& what) noexcept {
  if (observer_ != nullptr) observer_->on_settled(what);
}

}  // namespace weir::limiter
