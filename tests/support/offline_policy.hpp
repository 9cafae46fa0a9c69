// SPDX-License-Identifier: Apache-2.0
// Policies of tests, without files and environment.
#pragma once

#include "config/load.hpp"
#include "proxy/identity/address.hpp"

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace weir::tests {

/// A file with one upstream `web` and `text`; one that is refused throws what is wrong.
inline config::load_result tests_of(const std::string& text) {
  auto loaded = config::load_text("version: 1\nupstreams: {web: {url: \"http://127.0.0.1:3000\"}}\n" + text,
                                  "weir.yaml", "", [](std::string_view) { return std::nullopt; });
  if (loaded.settings) return loaded;
  std::string wrong;
  for (const auto& p : loaded.problems) wrong += config::render(p, loaded.source_text, false);
  throw std::runtime_error(wrong);
}

inline std::shared_ptr<const proxy::settings> policy_of(const std::string& text) {
  return tests_of(text).settings;
}

inline identity::address address_of(std::string_view text) {
  return identity::parse_address(text).value();
}

}  // namespace weir::tests
