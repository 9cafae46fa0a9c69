// SPDX-License-Identifier: Apache-2.0
#include "proxy/runtime/file_watch.hpp"

#include <chrono>
#include <cstdlib>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <vector>

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
  /// The files as they are now.
  [[nodiscard]] std::vector<source_file> files(std::initializer_list<const char*> names) const {
    std::vector<source_file> all;
    for (const char* name : names) all.push_back({path(name), stamp_of(path(name)), {}});
    return all;
  }
  /// Looks as often as a file_watch would in `count` of its intervals.
  void look(int count) {
    for (int i = 0; i < count; ++i) watch.check();
  }
  /// Lets events come until a change is reported, or for so long.
  bool hears_within(milliseconds patience) {
    const int before = changes;
    const auto end = std::chrono::steady_clock::now() + patience;
    io.restart();
    while (changes == before && std::chrono::steady_clock::now() < end) io.run_one_until(end);
    return changes > before;
  }

  std::filesystem::path folder;
  boost::asio::io_context io{1};
  int changes = 0;
  file_watch watch{io, [this] { ++changes; }};
};

}  // namespace

TEST_CASE_FIXTURE(fixture, "a replaced file is reported once, when a further look finds no other change") {
  watch.set(files({"a", "b"}));
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

TEST_CASE_FIXTURE(fixture, "a file that is gone is a change, and so is one that comes") {
  watch.set(files({"a", "c"}));
  std::filesystem::remove(path("a"));
  look(2);
  CHECK(changes == 1);
  write("c", "one");
  look(2);
  CHECK(changes == 2);
}

TEST_CASE_FIXTURE(fixture, "a file of the same size with its old time is a change") {
  watch.set(files({"a"}));
  const auto time = std::filesystem::last_write_time(path("a"));
  std::ofstream(path("a")) << "two";
  std::filesystem::last_write_time(path("a"), time);
  look(2);
  CHECK(changes == 1);
}

TEST_CASE_FIXTURE(fixture, "a link to another folder is a change") {
  std::filesystem::create_directory(folder / "1");
  std::filesystem::create_directory(folder / "2");
  for (const auto* at : {"1/cert", "2/cert"}) write(at, "same size");
  std::filesystem::create_directory_symlink("1", folder / "data");
  watch.set(files({"data/cert"}));
  std::filesystem::create_directory_symlink("2", folder / "data.new");
  std::filesystem::rename(folder / "data.new", folder / "data");
  look(2);
  CHECK(changes == 1);
}

TEST_CASE_FIXTURE(fixture, "what is read anew is known, and what changes while it is read is not") {
  watch.set(files({"a", "b"}));
  write("a", "two");
  const auto read = files({"a", "b"});
  write("b", "two");
  watch.set(read);
  look(2);
  CHECK(changes == 1);
}

TEST_CASE_FIXTURE(fixture, "a look while the files are read knows them") {
  watch.set(files({"a"}));
  write("a", "two");
  watch.about_to_read();
  look(2);
  CHECK(changes == 0);
}

TEST_CASE_FIXTURE(fixture, "what happens to a file is heard, long before a look would see it") {
  static_assert(file_watch::interval > milliseconds{5000});
  watch.set(files({"a"}));
  REQUIRE(watch.hears());
  SUBCASE("it is replaced") {
    write("a", "two");
  }
  SUBCASE("it is written in place") {
    std::ofstream(path("a")) << "two";
  }
  SUBCASE("it goes") {
    std::filesystem::remove(path("a"));
  }
  SUBCASE("it becomes readable for others") {
    std::filesystem::permissions(path("a"), std::filesystem::perms::owner_read);
  }
  CHECK(hears_within(milliseconds{5000}));
}

TEST_CASE_FIXTURE(fixture, "a link that changes is heard wherever it is on the way to the file") {
  std::filesystem::create_directory(folder / "1");
  std::filesystem::create_directory(folder / "2");
  for (const auto* at : {"1/cert", "2/cert"}) write(at, "same size");
  std::filesystem::create_directory_symlink("1", folder / "data");
  std::filesystem::create_symlink("data/cert", folder / "cert");
  watch.set(files({"cert"}));
  std::filesystem::create_directory_symlink("2", folder / "data.new");
  std::filesystem::rename(folder / "data.new", folder / "data");
  CHECK(hears_within(milliseconds{5000}));
  std::ofstream(path("2/cert")) << "in place, behind two links";
  CHECK(hears_within(milliseconds{5000}));
}

TEST_CASE_FIXTURE(fixture, "events of other files report nothing") {
  watch.set(files({"a"}));
  write("b", "two");
  CHECK_FALSE(hears_within(3 * file_watch::debounce));
}
