// SPDX-License-Identifier: Apache-2.0
// One word of a state: a number, or an array or object that the state owns. Keeps an entry of the memory
// store in one cache line although only some algorithms need more than counters.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

namespace weir::limiter {

/// Base of what a state can own; who stored it knows its type.
class owned_state {
 public:
  virtual ~owned_state() = default;
};

class state_word {
 public:
  state_word() noexcept = default;
  state_word(state_word&& other) noexcept : word_(std::exchange(other.word_, 0)) {}
  state_word& operator=(state_word&& other) noexcept {
    if (this != &other) {
      clear();
      word_ = std::exchange(other.word_, 0);
    }
    return *this;
  }
  state_word(const state_word&) = delete;
  state_word& operator=(const state_word&) = delete;
  ~state_word() { clear(); }

  /// 0 <= n < 2^63; 0 when there is no number.
  [[nodiscard]] std::int64_t number() const noexcept {
    return (word_ & number_bit) != 0 ? static_cast<std::int64_t>(word_ >> 1) : 0;
  }
  void set_number(std::int64_t n) noexcept {
    clear();
    word_ = static_cast<std::uint64_t>(n) << 1 | number_bit;
  }

  /// Null when there is no array of T, which is std::int64_t or std::uint32_t.
  template <class T>
  [[nodiscard]] T* array() const noexcept {
    return reinterpret_cast<T*>(address(array_bit<T>));  // NOLINT(performance-no-int-to-ptr): it was one
  }
  template <class T>
  void own(std::unique_ptr<T[]> array) noexcept {
    clear();
    word_ = reinterpret_cast<std::uintptr_t>(array.release()) | array_bit<T>;
  }

  /// Null when there is no object. T is the type that was stored.
  template <class T>
  [[nodiscard]] T* object() const noexcept {
    return static_cast<T*>(owned());
  }
  /// The object, made when there is none.
  template <class T>
  [[nodiscard]] T& made() {
    if (owned() == nullptr) {
      auto fresh = std::make_unique<T>();
      clear();
      word_ = reinterpret_cast<std::uintptr_t>(static_cast<owned_state*>(fresh.release()));
    }
    return *static_cast<T*>(owned());
  }

 private:
  static constexpr std::uintptr_t number_bit =
      1;  // arrays and objects come from the heap, so their own last bits are 0
  template <class T>
  static constexpr std::uintptr_t array_bit = 0;
  static constexpr std::uintptr_t kind_bits = 7;
  static_assert(__STDCPP_DEFAULT_NEW_ALIGNMENT__ > kind_bits);

  /// 0 when the word is of another kind.
  [[nodiscard]] std::uintptr_t address(std::uintptr_t kind) const noexcept {
    return (word_ & kind_bits) == kind ? word_ - kind : 0;
  }
  [[nodiscard]] owned_state* owned() const noexcept {
    return reinterpret_cast<owned_state*>(address(0));  // NOLINT(performance-no-int-to-ptr): it was one
  }
  void clear() noexcept {
    if (word_ != 0 && (word_ & number_bit) == 0) free_owned();
    word_ = 0;
  }
  void free_owned() const noexcept {
    delete owned();
    delete[] array<std::int64_t>();
    delete[] array<std::uint32_t>();
  }

  std::uintptr_t word_ = 0;
};

template <>
inline constexpr std::uintptr_t state_word::array_bit<std::int64_t> = 2;
template <>
inline constexpr std::uintptr_t state_word::array_bit<std::uint32_t> = 4;

}  // namespace weir::limiter
