// SPDX-License-Identifier: Apache-2.0
#include "proxy/settle/json_pointer_reader.hpp"

#include <algorithm>

namespace weir::proxy::settle {

namespace {

constexpr std::size_t max_key = 512;  // a longer key is no token of a pointer the policy file takes

bool is_space(char c) noexcept {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

int hex_value(char c) noexcept {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::vector<std::string> parse_json_pointer(std::string_view pointer) {
  std::vector<std::string> tokens;
  while (!pointer.empty()) {
    pointer.remove_prefix(1);  // the slash
    const std::size_t end = std::min(pointer.find('/'), pointer.size());
    std::string token;
    for (std::size_t i = 0; i < end; ++i) {
      if (pointer[i] == '~' && i + 1 < end) {
        token += pointer[++i] == '1' ? '/' : '~';
      } else {
        token += pointer[i];
      }
    }
    tokens.push_back(std::move(token));
    pointer.remove_prefix(end);
  }
  return tokens;
}

void json_pointer_reader::reset() {
  found_.reset();
  key_.clear();
  depth_ = live_ = digit_count_ = 0;
  literal_ = {};
  high_surrogate_ = 0;
  state_ = state::value;
  key_matches_ = is_target_ = false;
}

void json_pointer_reader::fail() noexcept {
  state_ = state::broken;
  found_.reset();
}

void json_pointer_reader::feed(std::string_view bytes) {
  for (const char c : bytes) {
    if (state_ == state::broken) return;
    step(c);
  }
}

bool json_pointer_reader::finish() {
  if (state_ == state::number && depth_ == 0) end_number();
  if (state_ == state::after_value && depth_ == 0) return true;
  fail();
  return false;
}

void json_pointer_reader::step(char c) {
  switch (state_) {
    case state::string:
      return string_step(c);
    case state::escape:
      return escape_step(c);
    case state::hex:
      return hex_step(c);
    case state::literal:
      return literal_step(c);
    case state::number:
      if (number_step(c)) return;
      end_number();
      if (state_ == state::broken) return;
      break;  // c belongs to what follows
    default:
      break;
  }
  if (is_space(c)) return;
  switch (state_) {
    case state::value_or_end:
      if (c == ']') return close(false);
      return begin_value(c);
    case state::value:
      return begin_value(c);
    case state::key_or_end:
      if (c == '}') return close(true);
      [[fallthrough]];
    case state::key:
      if (c != '"') return fail();
      state_ = state::string;
      string_is_key_ = true;
      key_too_long_ = false;
      key_.clear();
      return;
    case state::colon:
      if (c != ':') return fail();
      state_ = state::value;
      return;
    case state::after_value:
      if (depth_ == 0) return fail();
      if (c == '}' || c == ']') return close(c == '}');
      if (c != ',') return fail();
      state_ = is_object_[depth_ - 1] ? state::key : state::value;
      if (!is_object_[depth_ - 1] && live_ == depth_) ++index_[depth_ - 1];
      return;
    default:
      return fail();
  }
}

// ---- values

/// Does the pointer go through the value that begins here?
bool json_pointer_reader::child_on_path() const {
  if (depth_ == 0) return true;
  if (live_ != depth_ || depth_ > tokens_->size()) return false;
  if (is_object_[depth_ - 1]) return key_matches_;
  return (*tokens_)[depth_ - 1] == std::to_string(index_[depth_ - 1]);
}

void json_pointer_reader::begin_value(char c) {
  const bool on_path = child_on_path();
  is_target_ = on_path && depth_ == tokens_->size();
  if (on_path) found_.reset();  // a repeated member replaces what was found
  switch (c) {
    case '{':
    case '[':
      if (depth_ == max_depth) return fail();
      if (on_path && !is_target_ && live_ == depth_) {
        live_ = depth_ + 1;
        index_[depth_] = 0;
      }
      is_target_ = false;
      return open(c == '{');
    case '"':
      string_is_key_ = false;
      state_ = state::string;
      return;
    case 't':
      literal_ = "rue";
      break;
    case 'f':
      literal_ = "alse";
      break;
    case 'n':
      literal_ = "ull";
      break;
    default:
      if (c != '-' && !is_digit(c)) return fail();
      state_ = state::number;
      digit_count_ = 0;
      if (c == '-') {
        is_target_ = false;
        number_ = number_state::sign;
      } else {
        number_ = c == '0' ? number_state::zero : number_state::whole;
        digits_[digit_count_++] = c;
      }
      return;
  }
  state_ = state::literal;
}

void json_pointer_reader::open(bool object) {
  is_object_[depth_++] = object;
  state_ = object ? state::key_or_end : state::value_or_end;
}

void json_pointer_reader::close(bool object) {
  if (is_object_[depth_ - 1] != object) return fail();
  if (live_ == depth_) --live_;
  --depth_;
  value_ended();
}

void json_pointer_reader::value_ended() {
  is_target_ = false;
  key_matches_ = false;
  state_ = state::after_value;
}

void json_pointer_reader::literal_step(char c) {
  if (c != literal_.front()) return fail();
  literal_.remove_prefix(1);
  if (literal_.empty()) value_ended();
}

// ---- numbers

bool json_pointer_reader::number_step(char c) {
  using n = number_state;
  switch (number_) {
    case n::sign:
      if (!is_digit(c)) return false;
      number_ = c == '0' ? n::zero : n::whole;
      return true;
    case n::zero:
    case n::whole:
      if (is_digit(c) && number_ == n::whole) {
        if (digit_count_ < max_number) digits_[digit_count_++] = c;
        return true;
      }
      if (c == '.') {
        number_ = n::point;
      } else if (c == 'e' || c == 'E') {
        number_ = n::e;
      } else {
        return false;
      }
      is_target_ = false;  // no integer as it is written
      return true;
    case n::point:
    case n::fraction:
      if (is_digit(c)) {
        number_ = n::fraction;
        return true;
      }
      if (number_ == n::point || (c != 'e' && c != 'E')) return false;
      number_ = n::e;
      return true;
    case n::e:
      if (c == '+' || c == '-') {
        number_ = n::e_sign;
        return true;
      }
      [[fallthrough]];
    case n::e_sign:
    case n::exponent:
      if (!is_digit(c)) return false;
      number_ = n::exponent;
      return true;
  }
  return false;
}

void json_pointer_reader::end_number() {
  using n = number_state;
  if (number_ != n::zero && number_ != n::whole && number_ != n::fraction && number_ != n::exponent)
    return fail();
  if (is_target_) {
    constexpr std::int64_t most = std::int64_t{1} << 62;
    std::int64_t value = 0;
    for (std::size_t i = 0; i < digit_count_ && value < most; ++i) {
      value = value > most / 10 - 1 ? most : value * 10 + (digits_[i] - '0');
    }
    found_ = value;
  }
  value_ended();
}

// ---- strings

void json_pointer_reader::string_step(char c) {
  if (high_surrogate_ != 0 && c != '\\') {
    append_code_point(0xfffd);
    high_surrogate_ = 0;
  }
  if (c == '"') return end_string();
  if (c == '\\') {
    state_ = state::escape;
  } else if (static_cast<unsigned char>(c) < 0x20) {
    fail();
  } else {
    append_key(c);
  }
}

void json_pointer_reader::escape_step(char c) {
  if (c == 'u') {
    state_ = state::hex;
    hex_left_ = 4;
    code_ = 0;
    return;
  }
  constexpr std::string_view names = "\"\\/bfnrt";
  constexpr std::string_view values = "\"\\/\b\f\n\r\t";
  const std::size_t at = names.find(c);
  if (at == std::string_view::npos) return fail();
  if (high_surrogate_ != 0) append_code_point(0xfffd);
  high_surrogate_ = 0;
  append_key(values[at]);
  state_ = state::string;
}

void json_pointer_reader::hex_step(char c) {
  const int digit = hex_value(c);
  if (digit < 0) return fail();
  code_ = code_ * 16 + static_cast<std::uint32_t>(digit);
  if (--hex_left_ > 0) return;
  state_ = state::string;
  const bool high = code_ >= 0xd800 && code_ < 0xdc00;
  const bool low = code_ >= 0xdc00 && code_ < 0xe000;
  if (high_surrogate_ != 0 && low) {
    append_code_point(0x10000 + ((high_surrogate_ - 0xd800) << 10) + (code_ - 0xdc00));
    high_surrogate_ = 0;
    return;
  }
  if (high_surrogate_ != 0) append_code_point(0xfffd);
  high_surrogate_ = high ? code_ : 0;
  if (!high) append_code_point(low ? 0xfffd : code_);
}

void json_pointer_reader::end_string() {
  if (!string_is_key_) return value_ended();
  state_ = state::colon;
  key_matches_ =
      live_ == depth_ && depth_ <= tokens_->size() && !key_too_long_ && key_ == (*tokens_)[depth_ - 1];
}

void json_pointer_reader::append_key(char c) {
  if (!string_is_key_ || live_ != depth_) return;
  if (key_.size() < max_key) {
    key_ += c;
  } else {
    key_too_long_ = true;
  }
}

void json_pointer_reader::append_code_point(std::uint32_t code) {
  const auto byte = [this](std::uint32_t value) { append_key(static_cast<char>(value)); };
  if (code < 0x80) return byte(code);
  if (code < 0x800) {
    byte(0xc0 | code >> 6);
  } else if (code < 0x10000) {
    byte(0xe0 | code >> 12);
    byte(0x80 | (code >> 6 & 0x3f));
  } else {
    byte(0xf0 | code >> 18);
    byte(0x80 | (code >> 12 & 0x3f));
    byte(0x80 | (code >> 6 & 0x3f));
  }
  byte(0x80 | (code & 0x3f));
}

}  // namespace weir::proxy::settle
