// SPDX-License-Identifier: Apache-2.0
// Real pipes, sockets and files; every wait ends as soon as what it waits for is there.
#include "proxy/observe/log_writer.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>

using weir::proxy::log_ring;
using weir::proxy::log_writer;
using namespace std::chrono_literals;

namespace {

/// Two connected descriptors: what is written to `in` is read from `out`.
class channel {
 public:
  enum kind { pipe, socket };
  explicit channel(kind k = pipe) {
    std::array<int, 2> fds{};
    const int failed = k == pipe ? ::pipe(fds.data()) : ::socketpair(AF_UNIX, SOCK_STREAM, 0, fds.data());
    REQUIRE(failed == 0);
    out = fds[0];
    in = fds[1];
  }
  ~channel() {
    close_out();
    close_in();
  }
  channel(const channel&) = delete;
  channel& operator=(const channel&) = delete;

  void close_in() { close(in); }
  void close_out() { close(out); }

  /// A path that opens the writing end anew.
  [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(in); }

  /// Waits for some bytes; empty at the end.
  [[nodiscard]] std::string read_some() const {
    std::string text(65536, '\0');
    const ssize_t n = ::read(out, text.data(), text.size());
    text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return text;
  }
  [[nodiscard]] std::string read_until(std::string_view end) const {
    std::string text;
    while (text.find(end) == std::string::npos) {
      const std::string more = read_some();
      if (more.empty()) break;
      text += more;
    }
    return text;
  }
  /// Everything that was written; closes the writing end.
  [[nodiscard]] std::string read_all() {
    close_in();
    std::string text;
    for (std::string more = read_some(); !more.empty(); more = read_some()) text += more;
    return text;
  }

  int out = -1;
  int in = -1;

 private:
  static void close(int& fd) {
    if (fd >= 0) ::close(fd);
    fd = -1;
  }
};

/// What doctest has said so far must not be flushed into a descriptor under test.
void flush_stdout() {
  std::cout.flush();
  std::fflush(stdout);
}

/// Puts another descriptor in the place of stdout while it lives. No CHECK meanwhile: doctest writes there.
class stdout_replaced {
 public:
  explicit stdout_replaced(int fd) : before_(::dup(STDOUT_FILENO)) {
    flush_stdout();
    ::dup2(fd, STDOUT_FILENO);
  }
  ~stdout_replaced() {
    ::dup2(before_, STDOUT_FILENO);
    ::close(before_);
  }
  stdout_replaced(const stdout_replaced&) = delete;
  stdout_replaced& operator=(const stdout_replaced&) = delete;

 private:
  int before_;
};

class temporary_folder {
 public:
  temporary_folder() {
    std::string name = (std::filesystem::temp_directory_path() / "weir-log-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~temporary_folder() { std::filesystem::remove_all(path_); }
  temporary_folder(const temporary_folder&) = delete;
  temporary_folder& operator=(const temporary_folder&) = delete;
  [[nodiscard]] std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

std::string content(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::uint64_t lines_in(std::string_view text) {
  return static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n'));
}

/// What a text says of lines and of lost lines. A writer that finds a quiet moment may announce drops at any
/// time.
struct books {
  std::uint64_t lines = 0;
  std::uint64_t announced = 0;
  std::uint64_t markers = 0;
};
books books_of(const std::string& text) {
  const std::string marker = "\"msg\":\"access log lines dropped\",\"dropped\":";
  books b;
  for (std::size_t at = text.find(marker); at != std::string::npos; at = text.find(marker, at + 1)) {
    if (text.find("}\n", at) == std::string::npos) break;  // not all of it was read yet
    ++b.markers;
    b.announced += std::stoull(text.substr(at + marker.size()));
  }
  b.lines = lines_in(text) - b.markers;
  return b;
}

/// Waits until it holds, for at most 10 s.
template <class Condition>
bool eventually(Condition holds) {
  const auto end = std::chrono::steady_clock::now() + 10s;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

const std::string line_of_100 = std::string(99, 'x') + "\n";

bool writable(int fd) {
  pollfd on{fd, POLLOUT, 0};
  return ::poll(&on, 1, 0) == 1;
}

/// Pushes lines until the destination takes nothing any more and the ring is full. Returns how many.
std::uint64_t push_until_stuck(log_ring& ring, int destination) {
  std::uint64_t pushed = 0;
  const auto stuck = [&] {
    ++pushed;
    return !ring.push(line_of_100) && !writable(destination);
  };
  if (!eventually(stuck)) FAIL("the destination takes everything");
  return pushed;
}

}  // namespace

TEST_CASE("the lines of all rings arrive whole, each ring's in order") {
  channel pipe;
  log_ring first(4096);
  log_ring second(4096);
  log_writer writer(pipe.path(), {&first, &second});
  for (int i = 0; i < 20; ++i) {
    REQUIRE(first.push("a" + std::to_string(i) + "\n"));
    REQUIRE(second.push("b" + std::to_string(i) + "\n"));
  }
  writer.stop(5s);
  CHECK(writer.dropped() == 0);
  const std::string text = pipe.read_all();
  CHECK(lines_in(text) == 40);
  for (const std::string name : {"a", "b"}) {
    std::size_t at = 0;
    for (int i = 0; i < 20 && at != std::string::npos; ++i)
      at = text.find(name + std::to_string(i) + "\n", at);
    CHECK(at != std::string::npos);
  }
}

TEST_CASE("lines arrive without anybody asking") {
  channel pipe;
  log_ring ring(4096);
  log_writer writer(pipe.path(), {&ring});
  REQUIRE(ring.push("hello\n"));
  CHECK(pipe.read_until("\n") == "hello\n");
}

TEST_CASE("a line that wraps in the ring arrives in one piece") {
  channel pipe;
  log_ring ring(128);
  log_writer writer(pipe.path(), {&ring});
  for (int i = 0; i < 5; ++i) {
    REQUIRE(ring.push(line_of_100));
    CHECK(pipe.read_until("\n") == line_of_100);
    REQUIRE(eventually([&] { return ring.size() == 0; }));  // it is read before the writer makes room
  }
}

TEST_CASE("a reader that stopped does not keep stop() from returning, and every line is accounted for") {
  channel pipe;
  log_ring ring(8192);
  log_writer writer(pipe.path(), {&ring});
  const std::uint64_t pushed = push_until_stuck(ring, pipe.in);
  writer.stop(0ms);
  CHECK(books_of(pipe.read_all()).lines + writer.dropped() == pushed);
  CHECK(ring.size() == 0);
}

TEST_CASE("stop() waits for a slow reader as long as its patience lasts") {
  channel pipe;
  log_ring ring(1 << 20);
  for (int i = 0; i < 5000; ++i) REQUIRE(ring.push(line_of_100));
  log_writer writer(pipe.path(), {&ring});
  std::string text;
  std::thread reader([&] {
    while (lines_in(text) < 5000) text += pipe.read_some();
  });
  writer.stop(10s);
  reader.join();
  CHECK(lines_in(text) == 5000);
  CHECK(writer.dropped() == 0);
}

TEST_CASE("after a time of drops the log itself tells how many lines were lost") {
  channel pipe;
  log_ring ring(8192);
  log_writer writer(pipe.path(), {&ring});
  const std::uint64_t pushed = push_until_stuck(ring, pipe.in);
  const std::uint64_t lost = writer.dropped();
  std::string text;
  while (books_of(text).announced < lost) text += pipe.read_some();
  writer.stop(5s);
  text += pipe.read_all();
  CHECK(writer.dropped() == lost);
  CHECK(books_of(text).announced == lost);
  CHECK(books_of(text).lines == pushed - lost);
  CHECK(text.ends_with("}\n"));  // the announcement comes when the ring is empty again
}

TEST_CASE("a reader that left costs lines, not the process, and they are counted") {
  channel pipe;
  log_ring ring(8192);
  log_writer writer(pipe.path(), {&ring});
  REQUIRE(ring.push("one\n"));
  CHECK(pipe.read_until("\n") == "one\n");
  pipe.close_out();
  REQUIRE(ring.push("two\n"));
  REQUIRE(ring.push("three\n"));
  CHECK(eventually([&] { return writer.dropped() == 2; }));
  REQUIRE(ring.push("four\n"));
  writer.stop(1s);
  CHECK(writer.dropped() == 3);
}

TEST_CASE("a file is appended to, and reopened after it was moved away") {
  const temporary_folder folder;
  const std::string path = folder.file("access.log");
  std::ofstream(path) << "before\n";
  log_ring ring(4096);
  log_writer writer(path, {&ring});
  REQUIRE(ring.push("one\n"));
  REQUIRE(eventually([&] { return ring.size() == 0; }));
  std::filesystem::rename(path, folder.file("access.log.1"));
  REQUIRE(ring.push("two\n"));
  REQUIRE(eventually([&] { return ring.size() == 0; }));
  writer.reopen();
  REQUIRE(eventually([&] { return std::filesystem::exists(path); }));
  REQUIRE(ring.push("three\n"));
  writer.stop(5s);
  CHECK(content(folder.file("access.log.1")) == "before\none\ntwo\n");
  CHECK(content(path) == "three\n");
  CHECK(writer.dropped() == 0);
}

TEST_CASE("a file that cannot be reopened leaves the old one in use") {
  const temporary_folder folder;
  std::filesystem::create_directory(folder.file("logs"));
  const std::string path = folder.file("logs") + "/access.log";
  log_ring ring(4096);
  log_writer writer(path, {&ring});
  std::filesystem::rename(folder.file("logs"), folder.file("moved"));
  writer.reopen();
  REQUIRE(ring.push("one\n"));
  writer.stop(5s);
  CHECK(content(folder.file("moved") + "/access.log") == "one\n");
}

TEST_CASE("a file that cannot be opened is an error that names it") {
  log_ring ring(4096);
  try {
    const log_writer writer("/nonexistent/access.log", {&ring});
    FAIL("no exception");
  } catch (const std::system_error& e) {
    CHECK(e.code() == std::errc::no_such_file_or_directory);
    CHECK(std::string(e.what()).find("/nonexistent/access.log") != std::string::npos);
  }
}

TEST_CASE("the destination none takes lines and loses none in the books") {
  log_ring ring(4096);
  log_writer writer("none", {&ring});
  for (int i = 0; i < 1000; ++i) {
    REQUIRE(eventually([&] { return ring.capacity() - ring.size() > line_of_100.size(); }));
    REQUIRE(ring.push(line_of_100));
  }
  writer.stop(5s);
  CHECK(ring.size() == 0);
  CHECK(writer.dropped() == 0);
}

TEST_CASE("the pipe behind stdout keeps its flags, which other processes share") {
  channel pipe;
  log_ring ring(4096);
  {
    const stdout_replaced guard(pipe.in);
    log_writer writer("stdout", {&ring});
    static_cast<void>(ring.push("hello\n"));
    writer.stop(5s);
  }
  CHECK((::fcntl(pipe.in, F_GETFL) & O_NONBLOCK) == 0);
  CHECK(pipe.read_all() == "hello\n");
}

TEST_CASE("stdout may be a socket whose reader stopped") {
  channel socket(channel::socket);
  log_ring ring(8192);
  std::uint64_t pushed = 0;
  std::uint64_t dropped = 0;
  {
    const stdout_replaced guard(socket.in);
    log_writer writer("stdout", {&ring});
    pushed = push_until_stuck(ring, socket.in);
    writer.stop(0ms);
    dropped = writer.dropped();
  }
  CHECK((::fcntl(socket.in, F_GETFL) & O_NONBLOCK) == 0);
  CHECK(books_of(socket.read_all()).lines + dropped == pushed);
}

TEST_CASE("stdout that is a file is continued where it stands") {
  const temporary_folder folder;
  const int fd = ::open(folder.file("out").c_str(), O_WRONLY | O_CREAT, 0600);
  REQUIRE(fd >= 0);
  REQUIRE(::write(fd, "before\n", 7) == 7);
  log_ring ring(4096);
  {
    const stdout_replaced guard(fd);
    log_writer writer("stdout", {&ring});
    static_cast<void>(ring.push("one\n"));
    writer.stop(5s);
  }
  ::close(fd);
  CHECK(content(folder.file("out")) == "before\none\n");
}

#ifndef __SANITIZE_THREAD__  // it does not know threads of a forked child
// A container that runs as another user than the one who made the pipe behind its stdout.
TEST_CASE("a pipe of another user cannot be opened anew and still never blocks the writer") {
  if (::geteuid() != 0) {
    MESSAGE("skipped: only root can become another user");
    return;
  }
  channel pipe;
  channel report;
  flush_stdout();
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::dup2(pipe.in, STDOUT_FILENO);
    constexpr uid_t nobody = 65534;
    if (::setuid(nobody) != 0 || ::open("/proc/self/fd/1", O_WRONLY) >= 0) ::_exit(1);
    log_ring ring(8192);
    log_writer writer("stdout", {&ring});
    const std::uint64_t pushed = push_until_stuck(ring, STDOUT_FILENO);
    writer.stop(0ms);
    const std::string counts = std::to_string(pushed - writer.dropped());
    ::_exit(::write(report.in, counts.data(), counts.size()) > 0 ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(std::to_string(books_of(pipe.read_all()).lines) == report.read_all());
}
#endif
