// SPDX-License-Identifier: Apache-2.0
// A private redis-server for one test: own folder, unix socket and loopback port; gone with its object.
#pragma once

#include <arpa/inet.h>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <hiredis/hiredis.h>
#include <memory>
#include <netinet/in.h>
#include <signal.h>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace weir::tests {

/// A TCP port of 127.0.0.1 on which nobody listens at this moment.
inline std::uint16_t free_port() {
  const int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  const bool bound = ::bind(probe, generic, size) == 0 && ::getsockname(probe, generic, &size) == 0;
  ::close(probe);
  if (!bound) throw std::runtime_error("no free port");
  return ntohs(address.sin_port);
}

class redis_server {
 public:
  /// False: tests that need a server skip themselves.
  static bool installed() {
    const char* const path = std::getenv("PATH");
    std::string_view folders = path == nullptr ? "" : path;
    while (!folders.empty()) {
      const std::string_view folder = folders.substr(0, folders.find(':'));
      if (::access((std::string(folder) + "/redis-server").c_str(), X_OK) == 0) return true;
      folders.remove_prefix(std::min(folders.size(), folder.size() + 1));
    }
    return false;
  }

  /// `options` are further words of the command line, e.g. {"--requirepass", "pw"}.
  explicit redis_server(std::vector<std::string> options = {})
      : options_(std::move(options)), port_(free_port()) {
    std::string pattern = (std::filesystem::temp_directory_path() / "weir-redis-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr)
      throw std::runtime_error("cannot make a folder for redis-server");
    folder_ = pattern;
    start();
  }
  ~redis_server() {
    stop();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  redis_server(const redis_server&) = delete;
  redis_server& operator=(const redis_server&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string unix_path() const { return (folder_ / "socket").string(); }

  /// Starts again, empty, at the same addresses; returns when the server answers.
  void start() {
    std::vector<std::string> words = {
        "redis-server", "--port",    std::to_string(port_),     "--bind", "127.0.0.1", "--unixsocket",
        unix_path(),    "--dir",     folder_.string(),          "--save", "",          "--appendonly",
        "no",           "--logfile", (folder_ / "log").string()};
    words.insert(words.end(), options_.begin(), options_.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ < 0) throw std::runtime_error("cannot fork");
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::execvp("redis-server", argv.data());
      ::_exit(127);
    }
    wait_until_up();
  }

  /// kill -9.
  void stop() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(std::exchange(pid_, -1), nullptr, 0);
  }

  void pause() const { ::kill(pid_, SIGSTOP); }
  void resume() const { ::kill(pid_, SIGCONT); }

  /// The reply's text (numbers as decimal), on a connection of its own. Throws when there is none.
  [[nodiscard]] std::string command(const std::vector<std::string>& words) const {
    const std::unique_ptr<redisContext, void (*)(redisContext*)> context(connect(), redisFree);
    if (!context || context->err != 0) throw std::runtime_error("redis-server does not answer");
    std::vector<const char*> argv;
    std::vector<std::size_t> sizes;
    for (const std::string& word : words) {
      argv.push_back(word.data());
      sizes.push_back(word.size());
    }
    const std::unique_ptr<redisReply, void (*)(void*)> reply(
        static_cast<redisReply*>(
            redisCommandArgv(context.get(), static_cast<int>(argv.size()), argv.data(), sizes.data())),
        freeReplyObject);
    if (!reply) throw std::runtime_error("redis-server does not answer");
    if (reply->type == REDIS_REPLY_INTEGER) return std::to_string(reply->integer);
    return reply->str == nullptr ? std::string() : std::string(reply->str, reply->len);
  }

 private:
  [[nodiscard]] redisContext* connect() const {
    constexpr timeval patience{.tv_sec = 5, .tv_usec = 0};
    redisContext* const context = redisConnectUnixWithTimeout(unix_path().c_str(), patience);
    if (context != nullptr && context->err == 0) redisSetTimeout(context, patience);
    return context;
  }

  void wait_until_up() const {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (std::chrono::steady_clock::now() < deadline) {
      if (::waitpid(pid_, nullptr, WNOHANG) == pid_) break;
      try {
        if (!command({"PING"}).empty()) return;
      } catch (const std::runtime_error&) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
    }
    throw std::runtime_error("redis-server does not start");
  }

  std::vector<std::string> options_;
  std::filesystem::path folder_;
  std::uint16_t port_;
  pid_t pid_ = -1;
};

}  // namespace weir::tests
