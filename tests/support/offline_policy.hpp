// SPDX-License-Identifier: Apache-2.0
// Policies of tests, without files and environment.
#pragma once

#include "config/load.hpp"
#include "proxy/identity/address.hpp"

#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace weir::tests {

/// The settings of a file with one upstream `web` and `text`; one that is refused throws what is wrong.
inline std::shared_ptr<const proxy::settings> policy_of(const std::string& text) {
  const auto loaded =
      config::load_text("version: 1\nupstreams: {web: {url: \"http://127.0.0.1:3000\"}}\n" + text,
                        "weir.yaml", "", [](std::string_view) { return std::nullopt; });
  if (loaded.settings) return loaded.settings;
  std::string wrong;
  for (const auto& p : loaded.problems) wrong += config::render(p, loaded.source_text, false);
  throw std::runtime_error(wrong);
}

inline identity::address address_of(std::string_view text) {
  return identity::parse_address(text).value();
}

}  // namespace weir::tests
