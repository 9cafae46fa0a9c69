// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/decide_arguments.hpp"

#include <array>

namespace weir::limiter::redis {
namespace {

constexpr std::size_t longest_holder = 40;

constexpr std::string_view name_of(operation op) noexcept {
  switch (op) {
    case operation::take:
      return "take";
    case operation::peek:
      return "peek";
    case operation::refund:
      return "refund";
    case operation::take_upto:
      return "take_upto";
    case operation::renew:
      return "renew";
  }
  return {};
}

constexpr std::size_t key_overhead = 4 + 2 + 4;  // `1:{`, `}`, `:` and letter, rid

/// `own_key`: the letter of a key of the rule's own, 0 = the key of the subject's value.
void put_key(command_writer& out, std::string_view prefix, const charge& c, char own_key) {
  const std::string_view subject = c.subject_name();
  const std::string_view rid = c.matched->rid.text();
  const std::size_t own = own_key != 0 ? 2 + rid.size() : 0;
  out.header('$', prefix.size() + 4 + subject.size() + own);
  out.put(prefix);
  out.put("1:{");
  out.put(subject);
  out.put('}');
  if (own != 0) {
    out.put(':');
    out.put(own_key);
    out.put(rid);
  }
  out.put("\r\n");
}

std::int64_t known_value_key(std::span<const charge> charges, std::span<const argument_group> groups,
                             std::size_t i) {
  for (std::size_t j = 0; j < i; ++j) {
    if (groups[j].value_key != 0 && charges[j].subject == charges[i].subject) return groups[j].value_key;
  }
  return 0;
}

/// The letter of the algorithm; of a shadow charge the capital one, with `!` behind it when there is a
/// penalty.
void put_letter(command_writer& out, char letter, bool shadow, bool penalty) {
  if (shadow) letter = static_cast<char>(letter - 'a' + 'A');
  const std::array<char, 2> marked{letter, '!'};
  out.bulk({marked.data(), penalty ? std::size_t{2} : std::size_t{1}});
}

void put_name(command_writer& out, const rule_id& rid) {
  out.header('$', rid.id.size() + rid.digits.size());
  out.put(rid.text());
  out.put(rid.digits_text());
  out.put("\r\n");
}

void put_group(command_writer& out, operation op, const charge& c, const argument_group& group) {
  put_letter(out, group.algorithm->letter, c.shadow && admits(op), group.penalty_us > 0);
  out.number(group.own_key != 0 ? group.own_key : group.value_key);
  put_name(out, c.matched->rid);
  out.number(c.cost);
  if (op == operation::refund) out.number(c.aged ? -c.charged_at_us : c.charged_at_us);
  if (group.penalty_us > 0) {
    out.number(group.value_key);
    out.number(group.penalty_us);
  }
  for (int i = 0; i < group.quota.count; ++i) out.number(group.quota.values[static_cast<std::size_t>(i)]);
  if (group.algorithm->id == algorithm::concurrency) out.bulk(c.holder.substr(0, longest_holder));
}

}  // namespace

word_counts plan_arguments(operation op, std::span<const charge> charges, std::int64_t estimate_us,
                           std::span<argument_group> groups) {
  const std::size_t common = op == operation::refund ? 5 : 4;
  word_counts total{0, 2};  // the operation and k
  for (std::size_t i = 0; i < charges.size(); ++i) {
    argument_group& group = groups[i];
    const quota& q = charges[i].quota();
    group.algorithm = &functions_of(q);
    group.quota = group.algorithm->to_parameters(q, estimate_us);
    group.penalty_us = admits(op) ? charges[i].matched->penalty_us : 0;
    total.arguments += common + static_cast<std::size_t>(group.quota.count) +
                       (group.algorithm->id == algorithm::concurrency ? 1 : 0) +
                       (group.penalty_us > 0 ? 2 : 0);
    if (group.algorithm->own_key != 0) group.own_key = static_cast<std::int64_t>(++total.keys);
    if (group.own_key != 0 && group.penalty_us == 0) continue;
    group.value_key = known_value_key(charges, groups, i);
    group.names_value_key = group.value_key == 0;
    if (group.names_value_key) group.value_key = static_cast<std::int64_t>(++total.keys);
  }
  return total;
}

void put_keys(command_writer& out, std::string_view prefix, std::span<const charge> charges,
              std::span<const argument_group> groups) {
  for (std::size_t i = 0; i < charges.size(); ++i) {
    if (groups[i].own_key != 0) put_key(out, prefix, charges[i], groups[i].algorithm->own_key);
    if (groups[i].names_value_key) put_key(out, prefix, charges[i], 0);
  }
}

void put_arguments(command_writer& out, operation op, std::int64_t k, std::span<const charge> charges,
                   std::span<const argument_group> groups) {
  out.bulk(name_of(op));
  out.number(k);
  for (std::size_t i = 0; i < charges.size(); ++i) put_group(out, op, charges[i], groups[i]);
}

std::size_t room_for(std::string_view command, std::string_view script, std::string_view key_prefix,
                     const word_counts& words) noexcept {
  constexpr std::size_t argument = command_writer::frame + longest_holder;
  const std::size_t key = command_writer::frame + key_prefix.size() + key_overhead + longest_readable_name;
  return 5 * argument + command.size() + script.size() + words.keys * key + words.arguments * argument;
}

}  // namespace weir::limiter::redis
