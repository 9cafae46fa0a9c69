// SPDX-License-Identifier: Apache-2.0
// Watches one response for the costs that the rules of its request want to know. Pure.
#pragma once

#include "limiter/decision.hpp"
#include "proxy/http/head.hpp"
#include "proxy/settle/body_cost_reader.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace weir::proxy::settle {

/// A response header that is a cost: digits with blanks around them; larger than 2^62 counts as 2^62.
[[nodiscard]] std::optional<std::int64_t> header_cost(std::string_view value) noexcept;

class cost_meter {
 public:
  /// For the next request.
  void reset() noexcept {
    if (!entries_.empty()) forget();  // few requests have any
  }

  /// The response's head; what it promises for the rules among `charges` is watched from now on. The rules
  /// must live until reset().
  void begin(std::span<const limiter::charge> charges, const http::response_head& head,
             std::string_view buffer);

  /// True when body() wants the bytes.
  [[nodiscard]] bool reads_body() const noexcept { return reads_body_; }
  void body(std::string_view bytes);

  /// The upstream's response came to its end, or will get no further. Call once, before actual().
  void end(bool complete, std::uint64_t request_bytes, std::uint64_t response_bytes);

  /// What was found for a rule with response_cost; nothing without a response.
  [[nodiscard]] std::optional<std::int64_t> actual(const limiter::rule& matched) const;

 private:
  struct entry {
    const limiter::rule* matched;
    std::optional<std::int64_t> found;
    std::unique_ptr<body_cost_reader> reader;
  };

  void forget() noexcept;

  std::vector<entry> entries_;
  bool reads_body_ = false;
};

}  // namespace weir::proxy::settle
