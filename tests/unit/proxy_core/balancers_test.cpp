// SPDX-License-Identifier: Apache-2.0
#include "proxy/upstream/balancers/balancer.hpp"

#include <deque>
#include <doctest/doctest.h>
#include <random>
#include <string>
#include <vector>

using namespace weir::proxy;

namespace {

constexpr balance_method every_method[] = {balance_method::random_two, balance_method::round_robin,
                                           balance_method::least_requests};

using endpoints = std::vector<endpoint_view>;

/// How often each endpoint is picked when every request ends at once.
std::vector<int> idle_shares(balance_method method, const endpoints& views, int picks) {
  std::mt19937_64 random(6);
  const auto balancer = make_balancer(method);
  std::vector<int> counts(views.size());
  for (int i = 0; i < picks; ++i) ++counts[balancer->pick(views, random())];
  return counts;
}

/// Shares when `busy` requests are always in flight and end in random order.
std::vector<int> loaded_shares(balance_method method, endpoints views, int picks, std::size_t busy) {
  std::mt19937_64 random(7);
  const auto balancer = make_balancer(method);
  std::vector<int> counts(views.size());
  std::vector<std::size_t> in_flight;
  for (int i = 0; i < picks; ++i) {
    if (in_flight.size() == busy) {
      std::swap(in_flight[random() % busy], in_flight.back());
      --views[in_flight.back()].in_flight;
      in_flight.pop_back();
    }
    const std::size_t picked = balancer->pick(views, random());
    ++views[picked].in_flight;
    ++counts[picked];
    in_flight.push_back(picked);
  }
  return counts;
}

std::string sequence(balance_method method, const endpoints& views, int picks) {
  const auto balancer = make_balancer(method);
  std::string names;
  for (int i = 0; i < picks; ++i) names += static_cast<char>('a' + balancer->pick(views, 0));
  return names;
}

}  // namespace

TEST_CASE("a single endpoint is always picked, also when it should be avoided") {
  for (const auto method : every_method) {
    const auto balancer = make_balancer(method);
    for (const std::uint64_t random : {std::uint64_t{0}, ~std::uint64_t{0}}) {
      CHECK(balancer->pick(endpoints{{}}, random) == 0);
      CHECK(balancer->pick(endpoints{{.avoid = true}}, random) == 0);
    }
  }
}

TEST_CASE("equal endpoints get equal shares") {
  for (const auto method : every_method) {
    for (const int count : idle_shares(method, endpoints(5), 50000)) {
      CHECK(count == doctest::Approx(10000).epsilon(0.05));
    }
  }
}

TEST_CASE("least_requests and round_robin share by weight among idle endpoints") {
  const endpoints views{{.weight = 1}, {.weight = 2}, {.weight = 7}};
  for (const auto method : {balance_method::round_robin, balance_method::least_requests}) {
    const auto counts = idle_shares(method, views, 100000);
    CHECK(counts[0] == doctest::Approx(10000).epsilon(0.05));
    CHECK(counts[1] == doctest::Approx(20000).epsilon(0.05));
    CHECK(counts[2] == doctest::Approx(70000).epsilon(0.05));
  }
}

TEST_CASE("random_two takes its first of two by weight among idle endpoints") {
  const auto counts =
      idle_shares(balance_method::random_two, {{.weight = 1}, {.weight = 2}, {.weight = 7}}, 100000);
  CHECK(counts[0] == doctest::Approx(10000).epsilon(0.05));
  CHECK(counts[1] == doctest::Approx(20000).epsilon(0.05));
  CHECK(counts[2] == doctest::Approx(70000).epsilon(0.05));
}

TEST_CASE("under load every method shares by weight") {
  for (const auto method : every_method) {
    CAPTURE(static_cast<int>(method));
    const auto counts = loaded_shares(method, {{.weight = 1}, {.weight = 1}, {.weight = 2}}, 40000, 64);
    CHECK(counts[0] == doctest::Approx(10000).epsilon(0.1));
    CHECK(counts[1] == doctest::Approx(10000).epsilon(0.1));
    CHECK(counts[2] == doctest::Approx(20000).epsilon(0.1));
  }
}

TEST_CASE("an endpoint to be avoided is picked only when nothing else is left") {
  endpoints views{{.weight = 100, .avoid = true}, {.in_flight = 1000}, {.weight = 50, .avoid = true}};
  for (const auto method : every_method) {
    CHECK(idle_shares(method, views, 1000) == std::vector<int>{0, 1000, 0});
  }
  views[1].avoid = true;
  for (const auto method : every_method) {
    const auto counts = idle_shares(method, views, 1000);
    CHECK(counts[0] > 400);
  }
}

TEST_CASE("least_requests picks the least load per weight") {
  const auto pick = [](const endpoints& views) {
    return make_balancer(balance_method::least_requests)->pick(views, 0x123456789abcdef0);
  };
  CHECK(pick({{.in_flight = 3}, {.in_flight = 2}, {.in_flight = 4}}) == 1);
  CHECK(pick({{.weight = 2, .in_flight = 3}, {.in_flight = 2}}) == 0);
  CHECK(pick({{.weight = 2, .in_flight = 5}, {.in_flight = 2}}) == 1);
  CHECK(pick({{.weight = 100, .in_flight = 4'000'000'000}, {.weight = 99, .in_flight = 4'000'000'000}}) == 0);
}

TEST_CASE("random_two compares two different endpoints and picks the less loaded") {
  std::mt19937_64 random(8);
  const auto balancer = make_balancer(balance_method::random_two);
  const endpoints two{{.in_flight = 5}, {.in_flight = 4}};
  const endpoints three{{.in_flight = 5}, {.in_flight = 4}, {.in_flight = 3}};
  std::vector<int> counts(3);
  for (int i = 0; i < 30000; ++i) {
    REQUIRE(balancer->pick(two, random()) == 1);
    ++counts[balancer->pick(three, random())];
  }
  CHECK(counts[0] == 0);  // loses against either
  CHECK(counts[1] == doctest::Approx(10000).epsilon(0.05));
  CHECK(counts[2] == doctest::Approx(20000).epsilon(0.05));
}

TEST_CASE("round_robin is smooth and repeats exactly") {
  const auto method = balance_method::round_robin;
  CHECK(sequence(method, endpoints(3), 6) == "abcabc");
  CHECK(sequence(method, {{.weight = 5}, {.weight = 1}, {.weight = 1}}, 14) == "aabacaaaabacaa");
}

TEST_CASE("round_robin gives an endpoint that was avoided no burst afterwards") {
  const auto balancer = make_balancer(balance_method::round_robin);
  endpoints views(2);
  views[0].avoid = true;
  for (int i = 0; i < 100; ++i) CHECK(balancer->pick(views, 0) == 1);
  views[0].avoid = false;
  int first = 0;
  for (int i = 0; i < 10; ++i) first += balancer->pick(views, 0) == 0 ? 1 : 0;
  CHECK(first == 5);
}

TEST_CASE("round_robin starts anew when the number of endpoints changes") {
  const auto balancer = make_balancer(balance_method::round_robin);
  for (const std::size_t size : {std::size_t{3}, std::size_t{2}, std::size_t{5}, std::size_t{1}}) {
    CHECK(balancer->pick(endpoints(size), 0) == 0);
  }
}
