// SPDX-License-Identifier: Apache-2.0
#include "config/cost_checks.hpp"

#include "config/did_you_mean.hpp"

#include <fmt/format.h>

namespace weir::config {
namespace {

class cost_checker {
 public:
  cost_checker(rule_draft& d, bool has_quota, reporter& report)
      : d_(d), has_quota_(has_quota), report_(report) {}

  void run() {
    complete_cost_from();
    if (d_.count) d_.value.count = std::move(d_.count->value);
    complete_response_cost();
  }

 private:
  void below_capacity(std::int64_t cost, const place& at) {
    if (!has_quota_ || d_.value.unlimited || cost <= d_.value.quota.burst) return;
    report_.error("E0208", at,
                  fmt::format("a cost of {} can never be paid: rule {} holds {} units at most", cost,
                              in_ticks(d_.value.name), d_.value.quota.burst));
  }

  /// The largest cost there may be.
  [[nodiscard]] std::int64_t capacity() const noexcept {
    return d_.value.unlimited ? std::int64_t{1} << 31 : d_.value.quota.burst;
  }

  void complete_cost_from() {
    if (!d_.cost_from) return;
    auto& draft = *d_.cost_from;
    if (draft.sources != 1) {
      report_.error(draft.sources == 0 ? "E0302" : "E0304", draft.at,
                    "`cost_from` needs exactly one of `header` and `query`");
    }
    if (!draft.max) return;
    draft.value.max = *draft.max;
    draft.value.min = draft.min.value_or(1);
    below_capacity(draft.value.max, draft.max_at);
    if (draft.value.min > draft.value.max) {
      report_.error("E0304", draft.at, "cost_from: `min` is above `max`");
      return;
    }
    d_.value.cost_from = std::move(draft.value);
  }

  void complete_response_cost() {
    if (!d_.response_cost) return;
    auto& draft = *d_.response_cost;
    if (!d_.costs.empty() || d_.cost_from || d_.count) {
      report_.error("E0304", draft.at, "`response_cost` excludes `cost`, `cost_from` and `count`",
                    {"", "`reserve` is what the request costs until its response is known"});
    }
    if (draft.sources != 1 && draft.actual_at.line != 0) {
      report_.error(draft.sources == 0 ? "E0302" : "E0304", draft.actual_at,
                    "`actual` needs exactly one of `header`, `json_pointer` and `bytes`");
    }
    if (!draft.reserve) return;
    draft.value.reserve = *draft.reserve;
    draft.value.max = draft.max.value_or(has_quota_ ? capacity() : draft.value.reserve);
    if (draft.max) below_capacity(*draft.max, draft.max_at);
    if (!draft.max) {
      below_capacity(draft.value.reserve, draft.reserve_at);
    } else if (draft.value.reserve > draft.value.max) {
      report_.error("E0304", draft.reserve_at, "response_cost: `reserve` is above `max`");
    }
    d_.value.response_cost = std::move(draft.value);
  }

  rule_draft& d_;
  bool has_quota_;
  reporter& report_;
};

}  // namespace

void complete_cost_sources(rule_draft& d, bool has_quota, reporter& report) {
  cost_checker{d, has_quota, report}.run();
}

}  // namespace weir::config
