// SPDX-License-Identifier: Apache-2.0
#include "proxy/http/rate_limit_merge.hpp"

#include "proxy/http/grammar.hpp"
#include "proxy/http/structured_list.hpp"

#include <algorithm>
#include <array>

namespace weir::http {
namespace {

using id = header_id;

constexpr header_set draft_11 = headers(id::ratelimit, id::ratelimit_policy);
constexpr header_set draft_06 =
    headers(id::ratelimit_limit, id::ratelimit_policy, id::ratelimit_remaining, id::ratelimit_reset);
constexpr header_set x_ratelimit =
    headers(id::x_ratelimit_limit, id::x_ratelimit_remaining, id::x_ratelimit_reset);
constexpr header_set all = draft_11 | draft_06 | x_ratelimit | headers(id::retry_after);

/// The lines of one field joined to one value, as a recipient joins them (RFC 9110 5.3).
std::string joined(const response_head& head, std::string_view buffer, header_id field_id) {
  std::string value;
  for (std::size_t i = 0; i < head.field_count; ++i) {
    const field& f = head.fields[i];
    if (f.id != field_id || f.dropped) continue;
    if (!value.empty()) value += ", ";
    value += head.value(f, buffer);
  }
  return value;
}

/// Our own lines, by field.
class own_lines {
 public:
  explicit own_lines(std::string_view lines) noexcept : lines_(lines) {}

  [[nodiscard]] std::string_view value(header_id wanted) const noexcept {
    std::string_view found;
    each([&](header_id field_id, std::string_view line) {
      if (field_id == wanted) found = line.substr(line.find(':') + 2);
    });
    return found.substr(0, found.size() - std::min<std::size_t>(found.size(), 2));
  }

  /// Without the fields of `left_out`.
  [[nodiscard]] std::string without(header_set left_out) const {
    std::string kept;
    each([&](header_id field_id, std::string_view line) {
      if (!contains(left_out, field_id)) kept += line;
    });
    return kept;
  }

 private:
  template <class Use>
  void each(Use use) const {
    for (std::string_view rest = lines_; !rest.empty();) {
      const std::size_t size = std::min(rest.find('\n'), rest.size() - 1) + 1;
      const std::string_view line = rest.substr(0, size);
      use(identify_header(line.substr(0, line.find(':'))), line);
      rest.remove_prefix(size);
    }
  }

  std::string_view lines_;
};

const string_item* find_item(const string_list& list, std::string_view name) noexcept {
  const auto found =
      std::find_if(list.begin(), list.end(), [name](const string_item& i) { return i.name == name; });
  return found != list.end() ? &*found : nullptr;
}

/// One of their items with the smaller `r` and the larger `t` of both.
void append_stricter(std::string& out, const string_item& theirs, const string_item& ours) {
  struct edit {
    std::string_view old_text;
    std::int64_t value;
  };
  std::array<edit, 2> edits{{{theirs.r.text, std::min(theirs.r.value, ours.r.value)},
                             {theirs.t.text, std::max(theirs.t.value, ours.t.value)}}};
  if (edits[0].old_text.data() > edits[1].old_text.data()) std::swap(edits[0], edits[1]);
  std::string_view rest = theirs.text;
  for (const edit& e : edits) {
    if (e.old_text.empty()) continue;
    const auto at = static_cast<std::size_t>(e.old_text.data() - rest.data());
    out.append(rest.substr(0, at)).append(std::to_string(e.value));
    rest.remove_prefix(at + e.old_text.size());
  }
  out.append(rest);
  if (theirs.t.text.empty() && ours.t.value >= 0) out.append(";t=").append(std::to_string(ours.t.value));
}

/// Their items, then those of ours whose names they do not have.
std::string join(const string_list& theirs, const string_list& ours) {
  std::string out;
  const auto separate = [&out] {
    if (!out.empty()) out += ", ";
  };
  for (const string_item& item : theirs) {
    separate();
    const string_item* own = find_item(ours, item.name);
    if (own != nullptr && !own->r.text.empty()) {
      append_stricter(out, item, *own);
    } else {
      out += item.text;
    }
  }
  for (const string_item& item : ours) {
    if (find_item(theirs, item.name) != nullptr) continue;
    separate();
    out += item.text;
  }
  return out;
}

bool all_have(const string_list& list, integer_parameter string_item::*wanted) noexcept {
  return std::none_of(list.begin(), list.end(),
                      [wanted](const string_item& i) { return (i.*wanted).text.empty(); });
}

/// The result of one family: which of our fields go out as they are, and which of theirs do not.
struct merging {
  std::string added{};      ///< lines that stand for both
  header_set ours_out = 0;  ///< of ours, left out
  header_set theirs_out = 0;
};

/// Draft 11 on both sides, or nothing of ours.
merging merge_lists(const own_lines& ours, const response_head& head, std::string_view buffer) {
  merging result{.ours_out = draft_11};
  const std::string state_text = joined(head, buffer, id::ratelimit);
  const std::string policy_text = joined(head, buffer, id::ratelimit_policy);
  const auto theirs_state = parse_string_list(state_text);
  const auto theirs_policy = parse_string_list(policy_text);
  if (!theirs_state || !theirs_policy || !all_have(*theirs_state, &string_item::r) ||
      !all_have(*theirs_policy, &string_item::q)) {
    return result;
  }
  const auto own_state = parse_string_list(ours.value(id::ratelimit));
  const auto own_policy = parse_string_list(ours.value(id::ratelimit_policy));
  result.theirs_out = draft_11;
  result.added.append("RateLimit-Policy: ").append(join(*theirs_policy, *own_policy)).append("\r\n");
  result.added.append("RateLimit: ").append(join(*theirs_state, *own_state)).append("\r\n");
  return result;
}

/// The set with less remaining goes out whole; theirs when they do not say.
merging pick_set(header_set set, std::optional<std::int64_t> ours, std::optional<std::int64_t> theirs) {
  const bool our_turn = ours && theirs && *ours < *theirs;
  return our_turn ? merging{.theirs_out = set} : merging{.ours_out = set};
}

bool sent_any(const response_head& head, header_set set) noexcept {
  return (head.seen() & set) != 0;
}

merging merge_drafts(const own_lines& ours, const response_head& head, std::string_view buffer) {
  if (const auto own = parse_whole_number(ours.value(id::ratelimit_remaining))) {
    if (!sent_any(head, draft_06)) return {};
    return pick_set(draft_06, own, parse_whole_number(joined(head, buffer, id::ratelimit_remaining)));
  }
  if (ours.value(id::ratelimit).empty() || !sent_any(head, draft_11)) return {};
  if (const auto own = integer_in_dictionary(ours.value(id::ratelimit), "remaining")) {
    return pick_set(draft_11, own, integer_in_dictionary(joined(head, buffer, id::ratelimit), "remaining"));
  }
  return merge_lists(ours, head, buffer);
}

merging merge_x(const own_lines& ours, const response_head& head, std::string_view buffer) {
  const std::string_view own = ours.value(id::x_ratelimit_remaining);
  if (own.empty() || !sent_any(head, x_ratelimit)) return {};
  return pick_set(x_ratelimit, parse_whole_number(own),
                  parse_whole_number(joined(head, buffer, id::x_ratelimit_remaining)));
}

}  // namespace

bool tells_limits(const response_head& head) noexcept {
  return sent_any(head, all);
}

header_set merge_rate_limit_fields(std::string& lines, const response_head& head, std::string_view buffer) {
  const own_lines ours(lines);
  const merging drafts = merge_drafts(ours, head, buffer);
  const merging x = merge_x(ours, head, buffer);
  const header_set retry_after = head.seen() & headers(id::retry_after);
  std::string merged = ours.without(drafts.ours_out | x.ours_out | retry_after);
  merged += drafts.added;
  lines = std::move(merged);
  return drafts.theirs_out | x.theirs_out;
}

}  // namespace weir::http
