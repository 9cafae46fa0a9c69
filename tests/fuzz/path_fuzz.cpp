// SPDX-License-Identifier: Apache-2.0
// Path normaliser: idempotent, one leading slash, no way around it, fast path and slow path agree.
#include "proxy/http/path.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using weir::http::normalise_target;
using weir::http::normalised_target;

void require(bool condition) {
  if (!condition) std::abort();
}

bool is_clean(std::string_view path) {
  if (path == "*") return true;
  if (!path.starts_with('/') || path.find("//") != std::string_view::npos) return false;
  if (path.find("/./") != std::string_view::npos || path.find("/../") != std::string_view::npos) return false;
  if (path.ends_with("/.") || path.ends_with("/..")) return false;
  for (const char c : path) {
    if (c <= 0x20 || c == 0x7F || c == ';' || c == '?' || c == '#' || c == '\\') return false;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string target(reinterpret_cast<const char*>(data), size);
  std::string storage;
  normalised_target t;
  const bool accepted = normalise_target(target, storage, t);
  if (target.starts_with('/')) {  // "/." in front takes the slow path and changes nothing else
    std::string slow_storage;
    normalised_target slow;
    require(normalise_target("/." + target, slow_storage, slow) == accepted);
    // slow.query points into the temporary target; only the path is its own
    if (accepted) require(slow_storage == t.path && slow.has_query == t.has_query);
  }
  if (!accepted) return 0;
  require(is_clean(t.path));
  const std::size_t mark = target.find('?');
  require(t.has_query == (mark != std::string::npos && t.path != "*"));
  if (t.has_query) require(t.query == std::string_view(target).substr(mark + 1));
  const std::string path(t.path);
  normalised_target again;
  std::string storage_again;
  require(normalise_target(path, storage_again, again) && again.path == path && !again.has_query);
  return 0;
}
