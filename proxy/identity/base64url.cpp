// SPDX-License-Identifier: Apache-2.0
#include "proxy/identity/base64url.hpp"

#include <array>
#include <cstdint>

namespace weir::identity {
namespace {

constexpr std::uint8_t no_digit = 0xff;

constexpr std::array<std::uint8_t, 256> make_values() {
  constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::array<std::uint8_t, 256> table{};
  for (auto& value : table) value = no_digit;
  for (std::size_t i = 0; i < alphabet.size(); ++i) {
    table[static_cast<unsigned char>(alphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return table;
}
constexpr std::array<std::uint8_t, 256> values = make_values();

}  // namespace

bool append_base64url(std::string& out, std::string_view text) {
  const std::size_t before = out.size();
  std::uint32_t pending = 0;
  int bits = 0;
  for (const char c : text) {
    const std::uint8_t value = values[static_cast<unsigned char>(c)];
    if (value == no_digit) {
      out.resize(before);
      return false;
    }
    pending = (pending << 6 | value) & 0xffff;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    out.push_back(static_cast<char>(pending >> bits & 0xff));
  }
  const bool whole = bits < 6 && (pending & ((1U << bits) - 1)) == 0;
  if (!whole) out.resize(before);
  return whole;
}

}  // namespace weir::identity
