// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/pack_call.hpp"

#include "limiter/redis/decide_arguments.hpp"

#include <algorithm>
#include <array>
#include <cassert>

namespace weir::limiter::redis {
namespace {

constexpr std::int64_t failed = -(std::int64_t{1} << 53);
constexpr std::int64_t largest_brief_cap = (std::int64_t{1} << 52) - 1;
constexpr std::size_t pack_head = 2;   // which decision has which shape, how many there are
constexpr std::size_t shape_head = 4;  // kind, numbers of keys, arguments and rules

bool is_plain_bucket(const charge& c) noexcept {
  if (c.quota().algorithm != algorithm::token_bucket || c.shadow || c.matched->penalty_us > 0) return false;
  const credits unit = to_credits(c.quota());
  return unit.r == 1 && unit.cap <= largest_brief_cap;
}

/// The script reads the buckets of one key together.
bool charges_of_subjects_adjoin(std::span<const charge> charges) noexcept {
  for (std::size_t i = 1; i < charges.size(); ++i) {
    if (charges[i].subject == charges[i - 1].subject) continue;
    const auto before = charges.first(i);
    if (std::any_of(before.begin(), before.end(),
                    [&](const charge& c) { return c.subject == charges[i].subject; })) {
      return false;
    }
  }
  return true;
}

/// The same arguments: only the subjects differ, and they are as many.
bool same_shape(std::span<const charge> a, std::span<const charge> b) noexcept {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].matched != b[i].matched || a[i].special != b[i].special || a[i].cost != b[i].cost ||
        a[i].shadow != b[i].shadow || a[i].holder != b[i].holder)
      return false;
    for (std::size_t j = 0; j < i; ++j) {
      if ((a[i].subject == a[j].subject) != (b[i].subject == b[j].subject)) return false;
    }
  }
  return true;
}

struct shape {
  std::span<const charge> example;
  argument_groups groups;
  word_counts words;
  bool brief = false;
};

/// Which decision has which shape.
struct pack_plan {
  boost::container::small_vector<shape, 4> shapes;
  std::array<char, most_packed> letters{};
  word_counts total{0, pack_head};

  void add(std::size_t place, std::span<const charge> charges, std::int64_t estimate_us) {
    const auto known = std::find_if(shapes.begin(), shapes.end(),
                                    [&](const shape& s) { return same_shape(s.example, charges); });
    letters[place] = static_cast<char>('A' + (known - shapes.begin()));
    if (known != shapes.end()) {
      total.keys += known->words.keys;
      return;
    }
    shape& fresh = shapes.emplace_back();
    fresh.example = charges;
    fresh.groups.resize(charges.size());
    fresh.words = plan_arguments(operation::take, charges, estimate_us, fresh.groups);
    fresh.brief = pack_form_of(charges).brief;
    total.keys += fresh.words.keys;
    total.arguments += shape_head + fresh.words.arguments;
  }
  [[nodiscard]] const shape& of(std::size_t place) const noexcept {
    return shapes[static_cast<std::size_t>(letters[place] - 'A')];
  }
};

void put_shape(command_writer& out, const shape& s) {
  out.bulk(s.brief ? "b" : "a");
  out.number(static_cast<std::int64_t>(s.words.keys));
  out.number(static_cast<std::int64_t>(s.words.arguments));
  out.number(static_cast<std::int64_t>(s.example.size()));
  put_arguments(out, operation::take, 1, s.example, s.groups);
}

/// `said`: D of a bucket that allows, -1 - D of one that denies. The script's own arithmetic, with r = 1.
bool read_bucket(const charge& c, std::int64_t said, rule_state& state) noexcept {
  const credits unit = to_credits(c.quota());
  state = {};
  state.allowed = said >= 0;
  state.used = state.reset_after_us = state.allowed ? said : -1 - said;
  const std::int64_t free = unit.cap - state.used;
  if (free < 0) return false;
  state.remaining = free / unit.q;
  if (state.allowed) return true;
  const bool never = c.cost > unit.cap / unit.q;
  state.retry_after_us = never ? -1 : c.cost * unit.q - free;
  return never || state.retry_after_us > 0;
}

bool read_buckets(std::int64_t now_us, std::span<const std::int64_t> integers,
                  std::span<const charge> charges, store_reply& reply) {
  reply.now_us = now_us;
  reply.admitted = 1;
  reply.states.resize(charges.size());
  for (std::size_t i = 0; i < charges.size(); ++i) {
    if (!read_bucket(charges[i], integers[i], reply.states[i])) return false;
    if (!reply.states[i].allowed) reply.admitted = 0;
  }
  return true;
}

}  // namespace

pack_form pack_form_of(std::span<const charge> charges) noexcept {
  const bool buckets = std::all_of(charges.begin(), charges.end(), is_plain_bucket);
  // What asks for nothing leaves no entry: with several in a key the script would have to leave it out.
  const bool takes = charges.size() == 1 ||
                     std::all_of(charges.begin(), charges.end(), [](const charge& c) { return c.cost > 0; });
  return {.charges = static_cast<std::uint8_t>(charges.size()),
          .brief = buckets && takes && charges_of_subjects_adjoin(charges)};
}

std::size_t pack_reply_size(const pack_form& form) noexcept {
  return form.brief ? form.charges : decide_reply_size(form.charges) - 1;
}

void append_pack(std::string& out, std::string_view script, std::string_view key_prefix,
                 std::span<const std::span<const charge>> decisions, const decide_options& options) {
  assert(!decisions.empty() && decisions.size() <= most_packed);
  pack_plan plan;
  for (std::size_t i = 0; i < decisions.size(); ++i) plan.add(i, decisions[i], options.estimate_us);
  if (options.clock_us >= 0) ++plan.total.arguments;
  const std::size_t before = out.size();
  out.resize(before + room_for("EVALSHA", script, key_prefix, plan.total));
  command_writer writer(out.data() + before);
  writer.header('*', 3 + plan.total.keys + plan.total.arguments);
  writer.bulk("EVALSHA");
  writer.bulk(script);
  writer.number(static_cast<std::int64_t>(plan.total.keys));
  for (std::size_t i = 0; i < decisions.size(); ++i)
    put_keys(writer, key_prefix, decisions[i], plan.of(i).groups);
  writer.bulk({plan.letters.data(), decisions.size()});
  writer.number(static_cast<std::int64_t>(plan.shapes.size()));
  for (const shape& s : plan.shapes) put_shape(writer, s);
  if (options.clock_us >= 0) writer.number(options.clock_us);
  out.resize(static_cast<std::size_t>(writer.end() - out.data()));
}

pack_answer parse_packed(std::int64_t now_us, std::span<const std::int64_t> integers, const pack_form& form,
                         std::span<const charge> charges, store_reply& reply) {
  if (now_us < 1 || now_us >= -failed) return pack_answer::malformed;
  if (integers.front() == failed) return pack_answer::failed;
  const bool sound = form.brief ? read_buckets(now_us, integers, charges, reply)
                                : parse_decision(now_us, integers, operation::take, charges.size(), reply, 1,
                                                 shadow_bits(operation::take, charges));
  return sound ? pack_answer::decided : pack_answer::malformed;
}

}  // namespace weir::limiter::redis
