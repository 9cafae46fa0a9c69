// SPDX-License-Identifier: Apache-2.0
// Which keys were denied, and how often.
#pragma once

#include "limiter/descriptor.hpp"

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace weir::replay {

inline constexpr std::size_t max_denied_keys = 100'000;  ///< counted by themselves, over all rules

/// Exact counts by rule and subject; beyond the bound new keys are counted together.
class denied_keys {
 public:
  struct counted {
    std::uint32_t rule = 0;  ///< its position
    std::string name;        ///< as it is shown
    std::uint64_t times = 0;
  };

  /// `name` is called when the key is new: it returns the text to show.
  template <class Name>
  void add(std::uint32_t rule, const limiter::subject_key& subject, Name name) {
    if (counted* known = find(rule, subject)) {
      ++known->times;
    } else if (keys_.size() < max_denied_keys) {
      keys_.emplace(id{rule, subject}, counted{rule, name(), 1});
    } else {
      ++others_;
    }
  }

  [[nodiscard]] std::size_t size() const noexcept { return keys_.size(); }
  [[nodiscard]] std::uint64_t others() const noexcept {
    return others_;
  }  ///< denials of keys beyond the bound
  [[nodiscard]] std::size_t keys_of(std::uint32_t rule) const;
  /// The most often denied ones of a rule first; of equal ones by name.
  [[nodiscard]] std::vector<counted> top(std::uint32_t rule, std::size_t most) const;

 private:
  struct id {
    std::uint32_t rule;
    limiter::subject_key subject;
    friend bool operator==(const id&, const id&) = default;
  };
  struct id_hash {
    std::size_t operator()(const id& i) const noexcept;
  };
  [[nodiscard]] counted* find(std::uint32_t rule, const limiter::subject_key& subject);

  std::unordered_map<id, counted, id_hash> keys_;
  std::uint64_t others_ = 0;
};

}  // namespace weir::replay
