// SPDX-License-Identifier: Apache-2.0
#include "proxy/runtime/watched_directories.hpp"

#include <cstdlib>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>

using namespace weir::proxy;
namespace fs = std::filesystem;

namespace {

struct fixture {
  fixture() {
    std::string pattern = (fs::temp_directory_path() / "weir-directories-XXXXXX").string();
    folder = fs::canonical(::mkdtemp(pattern.data()));
    fs::create_directories(folder / "etc");
    fs::create_directories(folder / "mount/1");
    std::ofstream(folder / "mount/1/weir.yaml") << "x";
  }
  ~fixture() { fs::remove_all(folder); }
  /// Of what `path` names, those below the folder, relative to it.
  [[nodiscard]] std::set<std::string> directories(const std::string& path) const {
    std::set<std::string> all, below;
    add_deciding_directories(all, (folder / path).string());
    for (const std::string& directory : all) {
      const std::string relative = fs::path(directory).lexically_relative(folder).string();
      if (!relative.starts_with("..")) below.insert(relative);
    }
    return below;
  }
  fs::path folder;
};

using names = std::set<std::string>;

}  // namespace

TEST_CASE_FIXTURE(fixture, "a plain file has one directory, however it is written") {
  CHECK(directories("mount/1/weir.yaml") == names{"mount/1"});
  CHECK(directories("mount/./1/../1/weir.yaml") == names{"mount/1"});
}

TEST_CASE_FIXTURE(fixture, "every link on the way adds the directory it lies in") {
  fs::create_directory_symlink("1", folder / "mount/..data");
  fs::create_symlink("..data/weir.yaml", folder / "mount/weir.yaml");
  fs::create_symlink(folder / "mount/weir.yaml", folder / "etc/weir.yaml");
  CHECK(directories("etc/weir.yaml") == names{"etc", "mount", "mount/1"});
}

TEST_CASE_FIXTURE(fixture, "of what is missing the last directory that is there") {
  CHECK(directories("etc/weir.d/tiers.csv") == names{"etc"});
  fs::create_symlink("gone/file", folder / "etc/link");
  CHECK(directories("etc/link") == names{"etc"});
}

TEST_CASE_FIXTURE(fixture, "links in a circle end") {
  fs::create_symlink("b", folder / "etc/a");
  fs::create_symlink("a", folder / "etc/b");
  CHECK(directories("etc/a") == names{"etc"});
}
