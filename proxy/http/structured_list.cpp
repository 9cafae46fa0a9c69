// SPDX-License-Identifier: Apache-2.0
#include "proxy/http/structured_list.hpp"

#include "proxy/http/grammar.hpp"

#include <algorithm>

namespace weir::http {
namespace {

constexpr std::size_t max_digits = 15;  // RFC 9651 3.3.1

constexpr bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}
constexpr bool is_lower(char c) noexcept {
  return c >= 'a' && c <= 'z';
}
constexpr bool is_alpha(char c) noexcept {
  return is_lower(c) || (c >= 'A' && c <= 'Z');
}
constexpr bool is_key_char(char c) noexcept {
  return is_lower(c) || is_digit(c) || c == '_' || c == '-' || c == '.' || c == '*';
}

/// A cursor over one field value. Every `take_` is false when the text at hand is not what it takes.
class reader {
 public:
  explicit reader(std::string_view text) noexcept : text_(text) {}

  [[nodiscard]] bool done() const noexcept { return at_ == text_.size(); }
  [[nodiscard]] char peek() const noexcept { return done() ? '\0' : text_[at_]; }
  [[nodiscard]] std::size_t at() const noexcept { return at_; }
  [[nodiscard]] std::string_view since(std::size_t begin) const noexcept {
    return text_.substr(begin, at_ - begin);
  }

  bool take(char c) noexcept {
    if (done() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  template <class Class>
  std::size_t take_all(Class is_member) noexcept {
    const std::size_t begin = at_;
    while (!done() && is_member(text_[at_])) ++at_;
    return at_ - begin;
  }

  void skip_spaces() noexcept {
    take_all([](char c) { return c == ' '; });
  }
  void skip_ows() noexcept {
    take_all([](char c) { return c == ' ' || c == '\t'; });
  }

  /// RFC 9651 4.2.5, with the quotes.
  bool take_string() noexcept {
    if (!take('"')) return false;
    while (!done()) {
      const char c = text_[at_++];
      if (c == '"') return true;
      if (c == '\\') {
        if (!take('"') && !take('\\')) return false;
      } else if (c < ' ' || c > '~') {
        return false;
      }
    }
    return false;
  }

  /// RFC 9651 4.2.4. `value` is written when it is an integer.
  bool take_number(std::optional<std::int64_t>& value) noexcept {
    const std::size_t begin = at_;
    const bool negative = take('-');
    const std::size_t digits = at_;
    const std::size_t count = take_all(is_digit);
    if (count == 0 || count > max_digits) return false;
    if (take('.')) {
      const std::size_t fraction = take_all(is_digit);
      return count <= 12 && fraction >= 1 && fraction <= 3;
    }
    std::int64_t number = 0;
    for (const char c : text_.substr(digits, count)) number = number * 10 + (c - '0');
    value = negative ? -number : number;
    return at_ > begin;
  }

  bool take_key(std::string_view& key) noexcept {
    const std::size_t begin = at_;
    if (done() || (!is_lower(text_[at_]) && text_[at_] != '*')) return false;
    take_all(is_key_char);
    key = since(begin);
    return true;
  }

  /// RFC 9651 4.2.3.1: any bare item.
  bool take_bare_item(std::optional<std::int64_t>& integer) noexcept {
    const char c = peek();
    if (c == '"') return take_string();
    if (c == '-' || is_digit(c)) return take_number(integer);
    if (c == ':') return take_between_colons();
    if (c == '?') return take('?') && (take('0') || take('1'));
    if (c == '@') {
      std::optional<std::int64_t> date;
      return take('@') && take_number(date) && date.has_value();
    }
    if (c == '%') return take('%') && take_string();
    return take_token();
  }

 private:
  bool take_between_colons() noexcept {
    take(':');
    take_all([](char c) { return is_alpha(c) || is_digit(c) || c == '+' || c == '/' || c == '='; });
    return take(':');
  }

  bool take_token() noexcept {
    if (!is_alpha(peek()) && peek() != '*') return false;
    take_all([](char c) { return grammar::is(c, grammar::token) || c == ':' || c == '/'; });
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

/// RFC 9651 4.2.3.2. Of a key that occurs twice the last one counts.
bool take_parameters(reader& from, string_item& item) {
  while (from.take(';')) {
    from.skip_spaces();
    std::string_view key;
    if (!from.take_key(key)) return false;
    integer_parameter value;
    if (from.take('=')) {
      const std::size_t begin = from.at();
      std::optional<std::int64_t> integer;
      if (!from.take_bare_item(integer)) return false;
      if (integer && *integer >= 0) value = {from.since(begin), *integer};
    }
    if (key.size() != 1) continue;
    integer_parameter* known = key == "q"   ? &item.q
                               : key == "r" ? &item.r
                               : key == "t" ? &item.t
                               : key == "w" ? &item.w
                                            : nullptr;
    if (known != nullptr) *known = value;
  }
  return true;
}

/// Behind a member: the next one's begin, or the end. False: neither.
bool next_member(reader& from, bool& more) noexcept {
  from.skip_ows();
  more = !from.done();
  if (!more) return true;
  if (!from.take(',')) return false;
  from.skip_ows();
  return !from.done();
}

}  // namespace

std::optional<string_list> parse_string_list(std::string_view text) {
  reader from(text);
  from.skip_spaces();
  string_list list;
  for (bool more = !from.done(); more;) {
    if (list.size() == list.capacity()) return std::nullopt;
    string_item& item = list.emplace_back();
    const std::size_t begin = from.at();
    if (!from.take_string()) return std::nullopt;
    item.name = from.since(begin + 1);
    item.name.remove_suffix(1);
    if (!take_parameters(from, item)) return std::nullopt;
    item.text = from.since(begin);
    if (!next_member(from, more)) return std::nullopt;
  }
  return list;
}

std::optional<std::int64_t> integer_in_dictionary(std::string_view text, std::string_view wanted) {
  reader from(text);
  from.skip_spaces();
  std::optional<std::int64_t> found;
  for (bool more = !from.done(); more;) {
    std::string_view key;
    std::optional<std::int64_t> value;
    string_item ignored;
    if (!from.take_key(key) || !from.take('=') || !from.take_number(value)) return std::nullopt;
    if (!take_parameters(from, ignored)) return std::nullopt;
    if (key == wanted) found = value;
    if (!next_member(from, more)) return std::nullopt;
  }
  return found && *found >= 0 ? found : std::nullopt;
}

std::optional<std::int64_t> parse_whole_number(std::string_view text) noexcept {
  if (text.empty() || text.size() > max_digits || !std::all_of(text.begin(), text.end(), is_digit))
    return std::nullopt;
  std::int64_t number = 0;
  for (const char c : text) number = number * 10 + (c - '0');
  return number;
}

}  // namespace weir::http
