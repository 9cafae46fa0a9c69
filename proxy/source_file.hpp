// SPDX-License-Identifier: Apache-2.0
// What a file was like when it was read, to notice that it has changed.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace weir::proxy {

/// Zeros: there is no such file. Anything done to a file or its name gives it another one.
struct file_stamp {
  std::uint64_t device = 0, inode = 0, size = 0;
  std::int64_t changed_ns = 0;  ///< of the inode (ctime), which no program can set back
  friend bool operator==(const file_stamp&, const file_stamp&) = default;
};

/// Of what `path` names now, links followed.
[[nodiscard]] file_stamp stamp_of(const std::string& path) noexcept;
/// Of an open file.
[[nodiscard]] file_stamp stamp_of(int fd) noexcept;

/// A file that a configuration was made from.
struct source_file {
  std::string path;
  file_stamp stamp;  ///< taken before it was read
  std::array<std::uint8_t, 32>
      digest{};  ///< SHA-256; zeros: it could not be read. Never shown: some hold secrets
};

/// The paths of `files` that hold something else than in `before`, or are not there at all; what only
/// `before` has is not told.
[[nodiscard]] std::vector<std::string> changed_files(const std::vector<source_file>& before,
                                                     const std::vector<source_file>& files);

/// The same paths with the same content.
[[nodiscard]] bool same_content(const std::vector<source_file>& a,
                                const std::vector<source_file>& b) noexcept;

}  // namespace weir::proxy
