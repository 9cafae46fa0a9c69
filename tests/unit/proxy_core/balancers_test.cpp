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
                                           balance_method::least_requests, balance_method::client_hash};

using endpoints = std::vector<endpoint_view>;

/// Endpoints as an upstream makes them: each with an identity of its own.
endpoints known(endpoints views) {
  std::uint64_t number = 0;
  for (endpoint_view& view : views) view.identity = ++number * 0x100000001b3ull;
  return views;
}

/// How often each endpoint is picked when every request ends at once; every request of another client.
std::vector<int> idle_shares(balance_method method, const endpoints& plain, int picks) {
  std::mt19937_64 random(6);
  const auto balancer = make_balancer(method);
  const endpoints views = known(plain);
  std::vector<int> counts(views.size());
  for (int i = 0; i < picks; ++i) ++counts[balancer->pick(views, {.random = random(), .client = random()})];
  return counts;
}

/// Shares when `busy` requests are always in flight and end in random order.
std::vector<int> loaded_shares(balance_method method, endpoints views, int picks, std::size_t busy) {
  views = known(std::move(views));
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
    const std::size_t picked = balancer->pick(views, {.random = random(), .client = random()});
    ++views[picked].in_flight;
    ++counts[picked];
    in_flight.push_back(picked);
  }
  return counts;
}

std::string sequence(balance_method method, const endpoints& views, int picks) {
  const auto balancer = make_balancer(method);
  std::string names;
  for (int i = 0; i < picks; ++i) names += static_cast<char>('a' + balancer->pick(views, {}));
  return names;
}

}  // namespace

TEST_CASE("a single endpoint is always picked, also when it should be avoided") {
  for (const auto method : every_method) {
    const auto balancer = make_balancer(method);
    for (const std::uint64_t random : {std::uint64_t{0}, ~std::uint64_t{0}}) {
      CHECK(balancer->pick(endpoints{{}}, {.random = random}) == 0);
      CHECK(balancer->pick(endpoints{{.standing = standing::out}}, {.random = random}) == 0);
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

TEST_CASE("all methods but random_two share by weight among idle endpoints") {
  const endpoints views{{.weight = 1}, {.weight = 2}, {.weight = 7}};
  for (const auto method :
       {balance_method::round_robin, balance_method::least_requests, balance_method::client_hash}) {
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

TEST_CASE("an endpoint that is out is picked only when nothing else is left") {
  endpoints views{{.weight = 100, .standing = standing::out},
                  {.in_flight = 1000},
                  {.weight = 50, .standing = standing::out}};
  for (const auto method : every_method) {
    CHECK(idle_shares(method, views, 1000) == std::vector<int>{0, 1000, 0});
  }
  views[1].standing = standing::out;
  for (const auto method : every_method) {
    const auto counts = idle_shares(method, views, 1000);
    CHECK(counts[0] > 400);
  }
}

TEST_CASE("least_requests picks the least load per weight") {
  const auto pick = [](const endpoints& views) {
    return make_balancer(balance_method::least_requests)->pick(views, {.random = 0x123456789abcdef0});
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
    REQUIRE(balancer->pick(two, {.random = random()}) == 1);
    ++counts[balancer->pick(three, {.random = random()})];
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
  views[0].standing = standing::out;
  for (int i = 0; i < 100; ++i) CHECK(balancer->pick(views, {}) == 1);
  views[0].standing = standing::fine;
  int first = 0;
  for (int i = 0; i < 10; ++i) first += balancer->pick(views, {}) == 0 ? 1 : 0;
  CHECK(first == 5);
}

TEST_CASE("round_robin starts anew when the number of endpoints changes") {
  const auto balancer = make_balancer(balance_method::round_robin);
  for (const std::size_t size : {std::size_t{3}, std::size_t{2}, std::size_t{5}, std::size_t{1}}) {
    CHECK(balancer->pick(endpoints(size), {}) == 0);
  }
}

TEST_CASE("the best standing there is gets everything, by every method") {
  const standing order[] = {standing::fine, standing::tried, standing::refusing, standing::out};
  for (const auto method : every_method) {
    for (int best = 0; best < 3; ++best) {
      const endpoints views{{.weight = 100, .standing = order[best + 1]},
                            {.in_flight = 1000, .standing = order[best]},
                            {.standing = standing::out}};
      CHECK(idle_shares(method, views, 500) == std::vector<int>{0, 500, 0});
    }
  }
}

TEST_CASE("client_hash keeps a client at its endpoint, whatever else happens") {
  const auto balancer = make_balancer(balance_method::client_hash);
  endpoints views = known(endpoints(7));
  std::mt19937_64 random(9);
  for (int i = 0; i < 1000; ++i) {
    const std::uint64_t client = random();
    const std::size_t home = balancer->pick(views, {.client = client});
    for (endpoint_view& view : views) view.in_flight = static_cast<std::uint32_t>(random() % 100);
    REQUIRE(balancer->pick(views, {.random = random(), .client = client}) == home);
  }
}

TEST_CASE("client_hash moves only the clients of an endpoint that leaves, to the others by weight") {
  const auto balancer = make_balancer(balance_method::client_hash);
  endpoints views = known({{.weight = 3}, {.weight = 2}, {.weight = 1}, {.weight = 4}});
  std::mt19937_64 random(10);
  std::vector<int> moved(4), stayed(4);
  for (int i = 0; i < 100'000; ++i) {
    const std::uint64_t client = random();
    views[3].standing = standing::fine;
    const std::size_t home = balancer->pick(views, {.client = client});
    views[3].standing = standing::out;
    const std::size_t then = balancer->pick(views, {.client = client});
    if (home != 3) REQUIRE(then == home);
    ++(home == 3 ? moved : stayed)[then];
  }
  CHECK(stayed[0] == doctest::Approx(30'000).epsilon(0.03));
  CHECK(moved[0] == doctest::Approx(20'000).epsilon(0.03));
  CHECK(moved[1] == doctest::Approx(13'333).epsilon(0.03));
  CHECK(moved[2] == doctest::Approx(6'667).epsilon(0.03));
}

TEST_CASE("client_hash depends on who an endpoint is, not on its place in the list") {
  const auto balancer = make_balancer(balance_method::client_hash);
  const endpoints views = known(endpoints(5));
  const endpoints reversed(views.rbegin(), views.rend());
  for (std::uint64_t client = 0; client < 1000; ++client)
    REQUIRE(balancer->pick(views, {.client = client}) == 4 - balancer->pick(reversed, {.client = client}));
}
