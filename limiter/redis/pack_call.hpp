// SPDX-License-Identifier: Apache-2.0
// The wire form of a pack: the takes of several requests as one command, each decided by itself. Pure; the
// contract is lua/README.md.
#pragma once

#include "limiter/redis/decide_call.hpp"

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace weir::limiter::redis {

/// Decisions in one call: the more, the less each costs the server, which does nothing else meanwhile (0.1
/// ms).
inline constexpr std::size_t most_packed = 32;

/// How a pack answers one of its decisions.
struct pack_form {
  std::uint8_t charges = 0;
  bool brief = false;  ///< an integer for each charge, which are buckets; else as a call of its own
};

/// Whether a pack answers these charges in its brief form.
[[nodiscard]] pack_form pack_form_of(std::span<const charge> charges) noexcept;

/// Integers of the reply to one decision.
[[nodiscard]] std::size_t pack_reply_size(const pack_form& form) noexcept;

/// Appends the command; 1 ... most_packed decisions. `script` is the SHA-1 of the script for packs. All keys
/// must be on one server, of a cluster in one slot.
void append_pack(std::string& out, std::string_view script, std::string_view key_prefix,
                 std::span<const std::span<const charge>> decisions, const decide_options& options = {});

/// What a pack says about one of its decisions.
enum class pack_answer : std::uint8_t {
  decided,
  failed,    ///< the server refused this one, which changed nothing: ask again alone, to hear why
  malformed  ///< an impossible value
};

/// `integers`: pack_reply_size() of them, of the decision about these charges. `now_us`: the first of the
/// reply.
[[nodiscard]] pack_answer parse_packed(std::int64_t now_us, std::span<const std::int64_t> integers,
                                       const pack_form& form, std::span<const charge> charges,
                                       store_reply& reply);

}  // namespace weir::limiter::redis
