// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/request.hpp"

#include "limiter/redis/slots.hpp"
#include "store_fixture.hpp"

#include <doctest/doctest.h>

using namespace weir::limiter;
using namespace weir::limiter::redis;

namespace {

charge make_charge(const rule& matched, char subject, std::int64_t cost = 1) {
  charge c{.matched = &matched, .subject = {}, .cost = cost};
  c.subject.text.fill(subject);
  return c;
}

part_result answered(std::initializer_list<bool> allowed) {
  part_result part;
  part.error = errc::ok;
  part.now_us = 1000;
  for (const bool yes : allowed) {
    rule_state state;
    state.allowed = yes;
    state.remaining = 5;
    state.granted = yes ? 2 : 0;
    part.states.push_back(state);
  }
  return part;
}

part_result silent(errc error) {
  part_result part;
  part.error = error;
  return part;
}

}  // namespace

TEST_CASE("charges are grouped by the slot of their subject") {
  const rule r = weir::tests::make_rule(10);
  const charge_list charges{make_charge(r, 'a'), make_charge(r, 'b'), make_charge(r, 'a'),
                            make_charge(r, 'c')};
  charge_groups groups;
  group_by_slot(charges, groups);
  REQUIRE(groups.size() == 3);
  std::size_t places = 0;
  for (const charge_group& group : groups) {
    for (const std::uint32_t place : group.places) {
      ++places;
      CHECK(hash_slot(charges[place].subject.view()) == group.slot);
    }
  }
  CHECK(places == 4);
}

TEST_CASE("a denial gives back what others took, silence alone does not") {
  const part_result yes = answered({true}), no = answered({true, false}), lost = silent(errc::timeout);
  const auto decide = [](operation op, std::initializer_list<const part_result*> parts) {
    const std::vector<const part_result*> list(parts);
    return must_give_back(op, list);
  };
  CHECK(decide(operation::take, {&yes, &no}));
  CHECK_FALSE(decide(operation::take, {&yes, &yes}));
  CHECK_FALSE(decide(operation::take, {&yes, &lost}));
  CHECK(decide(operation::take, {&lost, &no, &yes}));
  CHECK(decide(operation::take_upto, {&yes, &no}));
  CHECK_FALSE(decide(operation::peek, {&yes, &no}));
  CHECK_FALSE(decide(operation::refund, {&yes, &no}));
}

TEST_CASE("a refund gives back what was charged, as of then") {
  const rule r = weir::tests::make_rule(10);
  const charge_list charges{make_charge(r, 'a', 3), make_charge(r, 'a', 0)};
  const part_result part = answered({true, true});
  const charge_list whole = refund_of(operation::take, part, charges);
  REQUIRE(whole.size() == 1);
  CHECK(whole[0].cost == 3);
  CHECK(whole[0].charged_at_us == 1000);
  CHECK(whole[0].aged);
  const charge_list granted = refund_of(operation::take_upto, part, charges);
  REQUIRE(granted.size() == 2);
  CHECK(granted[0].cost == 2);
}

TEST_CASE("a shadow charge denies no part and is given back only where it was taken") {
  const rule r = weir::tests::make_rule(10);
  charge_list charges{make_charge(r, 'a', 3), make_charge(r, 'a', 2)};
  charges[1].shadow = true;
  part_result part = answered({true, false});
  CHECK(part.denied());
  part.shadow = shadow_bits(operation::take, charges);
  CHECK(part.shadow == 2);
  CHECK(shadow_bits(operation::take_upto, charges) == 0);
  CHECK(part.allowed());
  CHECK_FALSE(part.denied());
  const charge_list back = refund_of(operation::take, part, charges);
  REQUIRE(back.size() == 1);
  CHECK(back[0].cost == 3);
  charge_groups groups;
  group_by_slot(charges, groups);
  const std::vector<const part_result*> list{&part};
  store_reply joined;
  join(groups, list, operation::take, charges, true, joined);
  CHECK(joined.states[0].remaining == 8);
  CHECK(joined.states[1].remaining == 5);  // nothing comes back
}

TEST_CASE("charges that outlive their policy keep the quota of their tier") {
  const rule r = weir::tests::make_rule(10);
  const quota tier{.limit = 77, .period_us = 1'000'000, .burst = 88};
  charge_list charges{make_charge(r, 'a')};
  charges[0].special = &tier;
  kept_charges kept;
  keep(charges, kept);
  CHECK(kept.charges[0].matched != &r);
  CHECK(kept.charges[0].special == nullptr);
  CHECK(kept.charges[0].quota() == tier);
}

TEST_CASE("the answer of all parts stands in the order of the charges, with silence per rule") {
  const rule r = weir::tests::make_rule(10);
  const charge_list charges{make_charge(r, 'a', 3), make_charge(r, 'b'), make_charge(r, 'a'),
                            make_charge(r, 'c')};
  charge_groups groups;
  group_by_slot(charges, groups);
  std::vector<part_result> parts;
  for (const charge_group& group : groups) {
    const std::uint32_t first = group.places.front();
    parts.push_back(first == 0   ? answered({true, true})
                    : first == 1 ? answered({false})
                                 : silent(errc::closed));
  }
  const std::vector<const part_result*> list{&parts[0], &parts[1], &parts[2]};
  store_reply joined;
  join(groups, list, operation::take, charges, true, joined);
  REQUIRE(joined.states.size() == 4);
  CHECK(joined.now_us == 1000);
  CHECK(joined.states[0].remaining == 8);  // as before the charge
  CHECK(joined.states[2].remaining == 6);
  CHECK_FALSE(joined.states[1].allowed);
  CHECK(joined.states[1].remaining == 5);
  REQUIRE(joined.failures.size() == 4);
  CHECK(joined.failures[3] == errc::closed);
  CHECK(joined.failures[0] == errc::ok);
}

TEST_CASE("kept charges need nothing of the request") {
  kept_charges kept;
  {
    const rule r = weir::tests::make_rule(10);
    const std::string holder = "proxy-1";
    charge one = make_charge(r, 'a', 3);
    one.holder = holder;
    keep({&one, 1}, kept);
  }
  REQUIRE(kept.charges.size() == 1);
  CHECK(kept.charges[0].matched->name == "test");
  CHECK(kept.charges[0].matched->quota.limit == 10);
  CHECK(kept.charges[0].holder == "proxy-1");
}
