// SPDX-License-Identifier: Apache-2.0
// Finds one integer in a JSON text that arrives in pieces, by RFC 6901 pointer, without keeping the text.
// Pure.
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::proxy::settle {

/// The reference tokens of a valid pointer, unescaped: "/a~1b/0" -> {"a/b", "0"}.
[[nodiscard]] std::vector<std::string> parse_json_pointer(std::string_view pointer);

/// A checking scanner: a text that is no JSON, or nested deeper than max_depth, yields nothing. Any split of
/// the bytes gives the same answer. Of a repeated member the last counts, as in most readers.
class json_pointer_reader {
 public:
  static constexpr std::size_t max_depth = 64;
  static constexpr std::size_t max_number = 32;  ///< characters of a number that can be a cost

  /// `tokens` must live as long as the reader.
  explicit json_pointer_reader(const std::vector<std::string>& tokens) : tokens_(&tokens) { reset(); }

  void reset();
  void feed(std::string_view bytes);
  /// The text has ended. True: it was one complete JSON value.
  [[nodiscard]] bool finish();

  /// Digits only, no sign, fraction or exponent; larger than 2^62 counts as 2^62. Nothing when the pointer
  /// names no value so far, or another kind of value.
  [[nodiscard]] std::optional<std::int64_t> found() const noexcept { return found_; }
  [[nodiscard]] bool failed() const noexcept { return state_ == state::broken; }

 private:
  enum class state : std::uint8_t {
    value,         // one must follow
    value_or_end,  // behind '['
    key,           // behind ',' of an object
    key_or_end,    // behind '{'
    colon,
    after_value,
    string,
    escape,
    hex,
    number,
    literal,
    broken,
  };
  enum class number_state : std::uint8_t { sign, zero, whole, point, fraction, e, e_sign, exponent };

  void step(char c);
  void begin_value(char c);
  void open(bool object);
  void close(bool object);
  void value_ended();
  void string_step(char c);
  void escape_step(char c);
  void hex_step(char c);
  void end_string();
  [[nodiscard]] bool number_step(char c);  // false: the number ended before c
  void end_number();
  void literal_step(char c);
  void append_code_point(std::uint32_t code);
  void append_key(char c);
  [[nodiscard]] bool child_on_path() const;
  void fail() noexcept;

  const std::vector<std::string>* tokens_;
  std::optional<std::int64_t> found_;
  std::string key_;  // of the member that is being read, while it may matter
  std::array<char, max_number> digits_{};
  std::array<std::uint64_t, max_depth> index_{};  // of the arrays on the path
  std::bitset<max_depth> is_object_;
  std::size_t depth_ = 0;  // open containers
  std::size_t live_ = 0;   // how many of them, from the outermost, the pointer goes through
  std::size_t digit_count_ = 0;
  std::string_view literal_;  // what must still follow of true, false or null
  std::uint32_t code_ = 0, high_surrogate_ = 0;
  int hex_left_ = 0;
  state state_ = state::value;
  number_state number_ = number_state::sign;
  bool key_matches_ = false;
  bool key_too_long_ = false;
  bool string_is_key_ = false;
  bool is_target_ = false;  // the value being read is the one the pointer names
};

}  // namespace weir::proxy::settle
