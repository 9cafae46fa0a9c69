// SPDX-License-Identifier: Apache-2.0
// A policy file of any bytes: loading never crashes, hangs or throws, and never yields settings beside
// errors.
#include "config/load.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

namespace {

/// No variables, and no file below it can exist: fuzzing must not read the machine's files by relative path.
constexpr const char* nowhere = "/dev/null";

std::optional<std::string> variables(std::string_view name) {
  if (name.size() % 2 == 0) return std::string{name};
  return std::nullopt;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(data[i]);
  const auto loaded = weir::config::load_text(std::move(text), "fuzz.yaml", nowhere, variables);
  if ((loaded.settings == nullptr) != weir::config::has_errors(loaded.problems)) std::abort();
  std::string rendered;
  for (const auto& p : loaded.problems) rendered += weir::config::render(p, loaded.source_text, false);
  return rendered.find('\x1b') == std::string::npos ? 0 : (std::abort(), 0);
}
