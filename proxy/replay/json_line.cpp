// SPDX-License-Identifier: Apache-2.0
#include "proxy/replay/json_line.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace weir::replay {
namespace {

constexpr std::size_t longest_path = 64;

std::size_t hash_of(std::string_view path) noexcept {
  std::uint32_t hash = 2166136261u;  // FNV-1a
  for (const char c : path) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return hash ^ (hash >> 15);
}

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/// The names above a value, joined by dots.
class member_path {
 public:
  [[nodiscard]] std::string_view text() const noexcept {
    return size_ <= longest_path ? std::string_view(text_.data(), size_) : std::string_view{};
  }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  void push(std::string_view name) noexcept {
    if (size_ > 0) append(".");
    append(name);
  }
  void cut_to(std::size_t size) noexcept { size_ = size; }

 private:
  /// A path too long names no field; only its length is kept.
  void append(std::string_view text) noexcept {
    if (size_ + text.size() <= longest_path) std::copy(text.begin(), text.end(), text_.begin() + size_);
    size_ += text.size();
  }

  std::array<char, longest_path> text_;
  std::size_t size_ = 0;
};

class json_reader {
 public:
  json_reader(std::span<char> line, const json_fields& fields, logged_request& out) noexcept
      : at_(line.data()), end_(line.data() + line.size()), fields_(fields), out_(out) {}

  line_problem read() {
    skip_spaces();
    if (peek() != '{') return {"no JSON object"};
    if (!object(0, false)) return problem_;
    skip_spaces();
    if (at_ != end_) return {"something behind the JSON object"};
    return {};
  }

 private:
  [[nodiscard]] char peek() const noexcept { return at_ < end_ ? *at_ : '\0'; }
  void skip_spaces() noexcept {
    while (at_ < end_ && (*at_ == ' ' || *at_ == '\t' || *at_ == '\r' || *at_ == '\n')) ++at_;
  }
  bool fail(const char* what, std::string_view field = {}) noexcept {
    if (problem_.what == nullptr) problem_ = {what, field};
    return false;
  }
  bool malformed() noexcept { return fail(at_ < end_ ? "malformed JSON" : "JSON that ends early"); }
  bool take(char c) noexcept {
    skip_spaces();
    if (peek() != c) return malformed();
    ++at_;
    return true;
  }

  bool object(int depth, bool of_headers) {
    if (depth >= max_json_depth) return fail("JSON nested too deeply");
    ++at_;
    skip_spaces();
    if (peek() == '}') return ++at_, true;
    for (;;) {
      std::span<char> name;
      skip_spaces();
      if (!string(name) || !take(':')) return false;
      const std::size_t size = path_.size();
      path_.push({name.data(), name.size()});
      if (!(of_headers ? header(name, depth) : member(depth))) return false;
      path_.cut_to(size);
      skip_spaces();
      if (peek() == '}') return ++at_, true;
      if (!take(',')) return false;
    }
  }

  bool member(int depth) {
    const std::string_view path = path_.text();
    const json_field* found = path.empty() ? nullptr : fields_.find(path);
    return value(found, depth);
  }

  bool header(std::span<char> name, int depth) {
    for (char& c : name) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
    }
    const json_field field{"headers", log_field::header, {name.data(), name.size()}};
    return value(&field, depth);
  }

  bool value(const json_field* field, int depth) {
    skip_spaces();
    switch (peek()) {
      case '{':
        return object(depth + 1, field != nullptr && field->field == log_field::header_object);
      case '[':
        return array(field, depth + 1);
      case '"': {
        std::span<char> text;
        return string(text) && store(field, {text.data(), text.size()});
      }
      default:
        return word(field);
    }
  }

  bool array(const json_field* field, int depth) {
    if (depth >= max_json_depth) return fail("JSON nested too deeply");
    ++at_;
    skip_spaces();
    if (peek() == ']') return ++at_, true;
    for (;;) {
      if (!value(field, depth)) return false;
      skip_spaces();
      if (peek() == ']') return ++at_, true;
      if (!take(',')) return false;
    }
  }

  /// A number, true, false or null.
  bool word(const json_field* field) {
    const char* begin = at_;
    const auto belongs = [](char c) {
      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '.' || c == '-' || c == '+' || c == 'E';
    };
    while (at_ < end_ && belongs(*at_)) ++at_;
    const std::string_view text(begin, static_cast<std::size_t>(at_ - begin));
    if (text.empty()) return malformed();
    return text == "null" || store(field, text);
  }

  bool store(const json_field* field, std::string_view text) {
    if (field == nullptr || field->field == log_field::header_object) return true;
    if (store_field(field->field, field->header, text, out_)) return true;
    return fail("of another form than expected", field->path);
  }

  /// Unescaped in place.
  bool string(std::span<char>& text) {
    if (peek() != '"') return malformed();
    char* const begin = ++at_;
    const auto rest = static_cast<std::size_t>(end_ - begin);
    auto* quote = static_cast<char*>(std::memchr(begin, '"', rest));
    if (quote == nullptr) return at_ = end_, malformed();
    const auto size = static_cast<std::size_t>(quote - begin);
    auto* escape = static_cast<char*>(std::memchr(begin, '\\', size));
    if (escape == nullptr) {
      at_ = quote + 1;
      text = {begin, size};
      return true;
    }
    at_ = escape;
    char* to = escape;
    while (at_ < end_ && *at_ != '"') {
      if (*at_ != '\\') {
        *to++ = *at_++;
      } else if (!unescape(to)) {
        return malformed();
      }
    }
    if (at_ == end_) return malformed();
    ++at_;
    text = {begin, static_cast<std::size_t>(to - begin)};
    return true;
  }

  /// What is written is never longer than what was read.
  bool unescape(char*& to) noexcept {
    ++at_;
    const char c = peek();
    constexpr std::string_view from = "\"\\/bfnrt", into = "\"\\/\b\f\n\r\t";
    const auto place = from.find(c);
    if (at_ == end_) return false;
    ++at_;
    if (c == 'u') return unescape_unicode(to);
    if (place == std::string_view::npos) return false;
    *to++ = into[place];
    return true;
  }

  bool unescape_unicode(char*& to) noexcept {
    std::uint32_t code = 0;
    if (!four_digits(code)) return false;
    if (code >= 0xd800 && code < 0xdc00 && end_ - at_ >= 6 && at_[0] == '\\' && at_[1] == 'u') {
      at_ += 2;
      std::uint32_t low = 0;
      if (!four_digits(low) || low < 0xdc00 || low > 0xdfff) return false;
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    put_utf8(to, code);
    return true;
  }

  bool four_digits(std::uint32_t& code) noexcept {
    if (end_ - at_ < 4) return at_ = end_, false;
    for (int i = 0; i < 4; ++i) {
      const int digit = hex_digit(*at_++);
      if (digit < 0) return false;
      code = code * 16 + static_cast<std::uint32_t>(digit);
    }
    return true;
  }

  static void put_utf8(char*& to, std::uint32_t code) noexcept {
    const auto put = [&to](std::uint32_t byte) { *to++ = static_cast<char>(byte); };
    if (code < 0x80) return put(code);
    if (code < 0x800) return put(0xc0 | code >> 6), put(0x80 | (code & 0x3f));
    if (code < 0x10000)
      return put(0xe0 | code >> 12), put(0x80 | (code >> 6 & 0x3f)), put(0x80 | (code & 0x3f));
    put(0xf0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3f));
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  }

  char* at_;
  char* end_;
  const json_fields& fields_;
  logged_request& out_;
  member_path path_;
  line_problem problem_;
};

}  // namespace

json_fields::json_fields(std::span<const json_field> fields, std::span<const json_field> more) noexcept {
  assert(fields.size() + more.size() <= slots_.size() / 2);
  add(fields);
  add(more);
}

void json_fields::add(std::span<const json_field> fields) noexcept {
  for (const json_field& field : fields) {
    std::size_t slot = hash_of(field.path) % slots_.size();
    while (slots_[slot] != nullptr) slot = (slot + 1) % slots_.size();
    slots_[slot] = &field;
  }
}

const json_field* json_fields::find(std::string_view path) const noexcept {
  for (std::size_t slot = hash_of(path) % slots_.size(); slots_[slot] != nullptr;
       slot = (slot + 1) % slots_.size()) {
    if (slots_[slot]->path == path) return slots_[slot];
  }
  return nullptr;
}

line_problem read_json_line(std::span<char> line, const json_fields& fields, logged_request& out) {
  return json_reader(line, fields, out).read();
}

}  // namespace weir::replay
