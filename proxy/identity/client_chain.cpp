// SPDX-License-Identifier: Apache-2.0
#include "proxy/identity/client_chain.hpp"

#include <algorithm>

namespace weir::identity {
namespace {

constexpr int max_forwarded_elements = 64;

bool is_trusted(const address& a, std::span<const cidr> trusted) noexcept {
  return std::any_of(trusted.begin(), trusted.end(), [&](const cidr& c) { return c.contains(a); });
}

std::string_view trim(std::string_view text) noexcept {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// Position of the last `separator` outside quotes, or npos. From the right, since the left is whatever the
/// client wrote: its open quote must not swallow what a proxy appended.
std::size_t rfind_unquoted(std::string_view text, char separator, bool quotes) noexcept {
  bool quoted = false;
  for (std::size_t i = text.size(); i-- > 0;) {
    if (quotes && text[i] == '"') quoted = !quoted;
    if (text[i] == separator && !quoted) return i;
  }
  return std::string_view::npos;
}

/// Takes the part behind the last separator off `rest`, trimmed.
std::string_view take_last(std::string_view& rest, char separator, bool quotes) noexcept {
  const auto at = rfind_unquoted(rest, separator, quotes);
  const std::string_view part = trim(at == std::string_view::npos ? rest : rest.substr(at + 1));
  rest = at == std::string_view::npos ? std::string_view{} : rest.substr(0, at);
  return part;
}

/// The elements of a field from right to left over all its lines, empty ones skipped.
class reverse_elements {
 public:
  reverse_elements(std::span<const std::string_view> lines, bool quotes) noexcept
      : lines_(lines), quotes_(quotes) {}

  /// Empty when none is left.
  std::string_view next() noexcept {
    for (;;) {
      if (rest_.empty()) {
        if (lines_.empty()) return {};
        rest_ = lines_.back();
        lines_ = lines_.first(lines_.size() - 1);
      }
      const std::string_view element = take_last(rest_, ',', quotes_);
      if (!element.empty()) return element;
    }
  }

 private:
  std::span<const std::string_view> lines_;
  std::string_view rest_;
  bool quotes_;
};

bool is_for(std::string_view name) noexcept {
  return name.size() == 3 && (name[0] | 0x20) == 'f' && (name[1] | 0x20) == 'o' && (name[2] | 0x20) == 'r';
}

/// A token or a quoted string, without its quotes. An escape inside quotes never belongs to an address.
std::optional<address> parse_for_value(std::string_view value) noexcept {
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
    return parse_forwarded_element(value.substr(1, value.size() - 2));
  if (value.find_first_of(":[]\"") != std::string_view::npos) return std::nullopt;  // no token
  return parse_forwarded_element(value);
}

/// The address of the element's one `for`.
std::optional<address> parse_pairs(std::string_view element) noexcept {
  std::string_view found;
  for (std::string_view rest = element; !rest.empty();) {
    const std::string_view pair = take_last(rest, ';', true);
    const auto equals = pair.find('=');
    if (!is_for(pair.substr(0, equals))) continue;
    if (equals == std::string_view::npos || !found.empty()) return std::nullopt;
    found = pair.substr(equals + 1);
  }
  return found.empty() ? std::nullopt : parse_for_value(found);
}

/// Calls `visit(text, address or nothing, trusted)` for every element, the peer first.
template <class Visit>
void walk(const address& peer, std::span<const std::string_view> lines, const chain_trust& trust,
          chain_syntax syntax, Visit visit) {
  const bool forwarded = syntax == chain_syntax::forwarded;
  const auto goes_on = [&](const address& at, int walked) {
    if (walked == max_forwarded_elements) return false;
    return trust.hops > 0 ? walked < trust.hops : is_trusted(at, trust.proxies);
  };
  address current = peer;
  std::string_view element;
  reverse_elements elements(lines, forwarded);
  for (int walked = 0;; ++walked) {
    const bool trusted = goes_on(current, walked);
    visit(element, std::optional(current), trusted);
    if (!trusted) return;
    element = elements.next();
    const auto next = forwarded ? parse_pairs(element) : parse_forwarded_element(element);
    if (!next) return visit(element, next, false);  // no element left, or one that is no address
    current = *next;
  }
}

}  // namespace

address client_address(const address& peer, std::span<const std::string_view> lines, const chain_trust& trust,
                       chain_syntax syntax) noexcept {
  address client = peer;
  walk(peer, lines, trust, syntax, [&client](std::string_view, const std::optional<address>& at, bool) {
    if (at) client = *at;
  });
  return client;
}

std::vector<chain_step> client_chain(const address& peer, std::span<const std::string_view> lines,
                                     const chain_trust& trust, chain_syntax syntax) {
  std::vector<chain_step> steps;
  walk(peer, lines, trust, syntax,
       [&steps](std::string_view text, const std::optional<address>& at, bool trusted) {
         if (at || !text.empty()) steps.push_back({text, at, trusted});
       });
  return steps;
}

}  // namespace weir::identity
