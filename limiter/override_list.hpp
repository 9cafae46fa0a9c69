// SPDX-License-Identifier: Apache-2.0
// Other quotas for single values of a selector: exceptions somebody wrote down, with a reason and mostly an
// end.
#pragma once

#include "limiter/quota.hpp"
#include "limiter/selectors/selector.hpp"
#include "limiter/value_table.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weir::limiter {

struct request_attributes;

/// Immutable. Of all items whose value the request has, the first that has not expired applies. Costs one
/// look-up per distinct selector, however many items there are.
class override_list {
 public:
  struct item {
    allowance allowed;
    std::int64_t until_us =
        0;  ///< not any more from this instant on, microseconds since the epoch; 0 = without end
    std::string reason;
    friend bool operator==(const item&, const item&) = default;
  };

  /// Appends an item for requests whose `from` is `value`, byte for byte.
  void add(const selector& from, std::string_view value, item what);
  /// Call once after the last add(): find() sees nothing before.
  void finish();

  /// Null: none applies. `now_us`: the wall clock, which only items with an end ask for; `scratch` is reused
  /// between calls.
  [[nodiscard]] const item* find(const request_attributes& request, std::int64_t now_us,
                                 std::string& scratch) const;

  [[nodiscard]] const std::vector<item>& items() const noexcept { return items_; }
  /// True when an item has an end.
  [[nodiscard]] bool expires() const noexcept { return expires_; }
  /// The selectors whose values are looked up.
  [[nodiscard]] std::vector<selector> selectors() const;
  friend bool operator==(const override_list&, const override_list&) = default;

 private:
  static constexpr std::uint32_t none = ~std::uint32_t{0};

  /// The items of one selector. The number of a value is that of its first item.
  struct group {
    selector from;
    std::vector<value_table::entry> added;
    value_table values;
    friend bool operator==(const group&, const group&) = default;
  };

  void link_equal_values(group& g);

  std::vector<group> groups_;
  std::vector<item> items_;
  std::vector<std::uint32_t> next_;  // by item: the next one for the same value
  bool expires_ = false;
};

}  // namespace weir::limiter
