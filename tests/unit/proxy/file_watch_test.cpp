// SPDX-License-Identifier: Apache-2.0
#include "proxy/runtime/file_watch.hpp"

#include <chrono>
#include <cstdlib>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>

using namespace weir::proxy;
using std::chrono::milliseconds;

namespace {

struct fixture {
  fixture() {
    std::string pattern = (std::filesystem::temp_directory_path() / "weir-watch-XXXXXX").string();
    folder = ::mkdtemp(pattern.data());
    write("a", "one");
    write("b", "one");
  }
  ~fixture() { std::filesystem::remove_all(folder); }
  [[nodiscard]] std::string path(const std::string& name) const { return (folder / name).string(); }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name) + ".new") << text;
    std::filesystem::rename(path(name) + ".new", path(name));
  }
  /// Looks as often as a file_watch would in `count` of its intervals.
  void look(int count) {
    for (int i = 0; i < count; ++i) watch.check();
  }

  std::filesystem::path folder;
  boost::asio::io_context io{1};
  int changes = 0;
  file_watch watch{io, [this] { ++changes; }};
};

}  // namespace

TEST_CASE_FIXTURE(fixture, "a replaced file is reported once, when a further look finds no other change") {
  watch.set({path("a"), path("b")});
  look(3);
  CHECK(changes == 0);
  write("a", "two");
  look(1);
  write("b", "two");
  look(1);
  CHECK(changes == 0);  // still going on
  look(1);
  CHECK(changes == 1);
  look(3);
  CHECK(changes == 1);
}

TEST_CASE_FIXTURE(fixture, "a file that goes and comes back the same way is no change") {
  watch.set({path("a")});
  std::filesystem::rename(path("a"), path("c"));
  look(1);
  std::filesystem::rename(path("c"), path("a"));
  look(3);
  CHECK(changes == 0);
  std::filesystem::remove(path("a"));
  look(2);
  CHECK(changes == 1);
}

TEST_CASE_FIXTURE(fixture, "a link to another folder is a change") {
  std::filesystem::create_directory(folder / "1");
  std::filesystem::create_directory(folder / "2");
  for (const auto* at : {"1/cert", "2/cert"}) write(at, "same size");
  std::filesystem::create_directory_symlink("1", folder / "data");
  watch.set({path("data/cert")});
  std::filesystem::create_directory_symlink("2", folder / "data.new");
  std::filesystem::rename(folder / "data.new", folder / "data");
  look(2);
  CHECK(changes == 1);
}

TEST_CASE_FIXTURE(fixture, "what is read anew is known, and what changes while it is read is not") {
  watch.set({path("a"), path("b")});
  write("a", "two");
  watch.about_to_read();
  write("b", "two");
  watch.set({path("a"), path("b")});
  look(2);
  CHECK(changes == 1);
}
