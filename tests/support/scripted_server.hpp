// SPDX-License-Identifier: Apache-2.0
// A fake Redis for faults that a real one does not show on demand. It lives on the test's own io_context, so
// nothing runs that the test does not drive.
#pragma once

#include "lua/scripts.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace weir::tests {

class scripted_server {
 public:
  using words = std::vector<std::string>;
  struct answer {
    std::string bytes;  ///< empty: silence
    bool then_close = false;
  };

  /// `port` 0: any. `receive_buffer` > 0 makes a server that reads slowly push back early.
  explicit scripted_server(boost::asio::io_context& io, std::uint16_t port = 0, int receive_buffer = 0)
      : acceptor_(io) {
    const boost::asio::ip::tcp::endpoint address(boost::asio::ip::address_v4::loopback(), port);
    acceptor_.open(address.protocol());
    acceptor_.set_option(boost::asio::socket_base::reuse_address(true));
    if (receive_buffer > 0)
      acceptor_.set_option(boost::asio::socket_base::receive_buffer_size(receive_buffer));
    acceptor_.bind(address);
    acceptor_.listen();
    accept();
  }
  ~scripted_server() { stop(); }
  scripted_server(const scripted_server&) = delete;
  scripted_server& operator=(const scripted_server&) = delete;

  [[nodiscard]] std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

  /// Answers EVALSHA and EVAL, each decision of a pack by itself. Default: one charge, allowed.
  std::function<answer(const words&)> on_decision = [](const words&) { return answer{allowed()}; };
  /// Answers everything else; default: as a good server would.
  std::function<answer(const words&)> on_control = good_control;
  bool reads = true;  ///< false: accepts and never reads; see resume()

  /// One charge of a rule that allows a million an hour.
  static std::string allowed(int remaining = 7) {
    const std::string used = std::to_string((1'000'000 - remaining) * 3600LL);
    return "*7\r\n:1732422216123456\r\n:1\r\n:1\r\n:" + std::to_string(remaining) + "\r\n:0\r\n:" + used +
           "\r\n:" + used + "\r\n";
  }
  /// The replies to single decisions about buckets as that of a pack: one `now`, then D of each charge, as
  /// -1 - D when it is denied. A reply of -1 is one that failed.
  static std::string packed(const std::vector<std::string>& each) {
    std::string all;
    std::int64_t now = 0;
    std::size_t number = 1;
    for (const std::string& one : each) {
      const std::vector<std::int64_t> integers = integers_of(one);
      now = integers.front();
      for (std::size_t i = 2; i < integers.size(); i += 5, ++number) {
        const std::int64_t used = integers[i + 4];
        const std::int64_t said = integers[1] < 0   ? -(std::int64_t{1} << 53)
                                  : integers[i] > 0 ? used
                                                    : -1 - used;
        all += ":" + std::to_string(said) + "\r\n";
      }
    }
    return "*" + std::to_string(number) + "\r\n:" + std::to_string(now) + "\r\n" + all;
  }
  static std::string bulk(const std::string& text) {
    return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
  }
  static answer good_control(const words& command) {
    if (command.front() == "INFO") return {bulk("redis_version:7.0.15\r\n")};
    if (command.front() == "SCRIPT") return {bulk(std::string(lua::decide_sha1()))};
    return {"+OK\r\n"};
  }

  std::size_t accepted = 0;
  std::vector<words> decisions;  ///< EVALSHA and EVAL, in the order they came
  std::vector<words> controls;
  std::size_t packs = 0;  ///< EVALSHA of several decisions

  /// Unasked bytes to the newest connection, or to an older one (0 = the first).
  void send(const std::string& bytes) { deliver(sessions_.back(), bytes, false); }
  void send_to(std::size_t session_number, const std::string& bytes) {
    deliver(sessions_[session_number], bytes, false);
  }

  void resume() {
    reads = true;
    for (const auto& one : sessions_) read(one);
  }

  /// Closes every connection.
  void drop() {
    boost::system::error_code ignored;
    for (const auto& one : sessions_) one->socket.close(ignored);
  }

  void stop() {
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    drop();
    *alive_ = false;
  }

 private:
  struct session {
    explicit session(boost::asio::ip::tcp::socket s) : socket(std::move(s)) {}
    boost::asio::ip::tcp::socket socket;
    std::string input;
    std::array<char, 65536> chunk;
  };

  void accept() {
    acceptor_.async_accept(
        [this, alive = alive_](boost::system::error_code error, boost::asio::ip::tcp::socket peer) {
          if (!*alive || error) return;
          ++accepted;
          sessions_.push_back(std::make_shared<session>(std::move(peer)));
          if (reads) read(sessions_.back());
          accept();
        });
  }

  void read(const std::shared_ptr<session>& one) {
    one->socket.async_read_some(
        boost::asio::buffer(one->chunk),
        [this, one, alive = alive_](boost::system::error_code error, std::size_t size) {
          if (!*alive || error) return;
          one->input.append(one->chunk.data(), size);
          std::string out;
          bool close = false;
          words command;
          std::size_t at = 0;
          while (!close && take_command(one->input, at, command)) {
            const answer reply = judge(command);
            out += reply.bytes;
            close = reply.then_close;
          }
          one->input.erase(0, at);
          deliver(one, out, close);
          if (reads && !close) read(one);
        });
  }

  answer judge(const words& command) {
    if (command.front() == "EVALSHA" && command[1] == lua::pack_sha1()) return judge_pack(command);
    const bool decision = command.front().starts_with("EVAL");
    (decision ? decisions : controls).push_back(command);
    return decision ? on_decision(command) : on_control(command);
  }

  /// Asks for each decision, which are about buckets, as if it had come alone. What is no reply to one is the
  /// whole answer.
  answer judge_pack(const words& command) {
    ++packs;
    std::vector<std::string> each;
    std::size_t key = 3;
    for (const char letter : command[key + std::stoul(command[2])]) {
      decisions.push_back(unpacked(command, key, letter));
      const answer one = on_decision(decisions.back());
      if (one.then_close || integers_of(one.bytes).size() % 5 != 2) return one;
      each.push_back(one.bytes);
    }
    return {packed(each)};
  }

  /// Empty when it is anything but an array of them.
  static std::vector<std::int64_t> integers_of(const std::string& reply) {
    std::size_t at = 0;
    std::size_t elements = 0;
    if (!reply.starts_with('*') || !take_number(reply, at, elements)) return {};
    std::vector<std::int64_t> integers;
    for (; elements > 0 && at < reply.size() && reply[at] == ':'; --elements) {
      integers.push_back(std::stoll(reply.substr(at + 1)));
      at = reply.find("\r\n", at) + 2;
    }
    return elements == 0 && at == reply.size() ? integers : std::vector<std::int64_t>{};
  }

  /// The decision with the shape of this letter as a call of its own, `key` behind its keys.
  static words unpacked(const words& pack, std::size_t& key, char letter) {
    std::size_t at = 3 + std::stoul(pack[2]) + 2;
    for (char shape = 'A'; shape < letter; ++shape) at += 4 + std::stoul(pack[at + 2]);
    const std::size_t keys = std::stoul(pack[at + 1]);
    words alone{"EVALSHA", std::string(lua::decide_sha1()), std::to_string(keys)};
    const auto first_key = pack.begin() + static_cast<std::ptrdiff_t>(key);
    alone.insert(alone.end(), first_key, first_key + static_cast<std::ptrdiff_t>(keys));
    const auto first = pack.begin() + static_cast<std::ptrdiff_t>(at + 4);
    alone.insert(alone.end(), first, first + std::stol(pack[at + 2]));
    key += keys;
    return alone;
  }

  // Test replies are small: they fit into the socket's buffer. A peer that has gone is no error.
  static void deliver(const std::shared_ptr<session>& one, const std::string& bytes, bool close) {
    boost::system::error_code ignored;
    boost::asio::write(one->socket, boost::asio::buffer(bytes), ignored);
    if (close) one->socket.close(ignored);
  }

  /// "*2\r\n$4\r\nINFO\r\n$6\r\nserver\r\n" -> {"INFO", "server"}, `at` behind it; false when it is not whole
  /// yet.
  static bool take_command(const std::string& input, std::size_t& at, words& command) {
    command.clear();
    std::size_t next = at;
    std::size_t number = 0;
    if (!take_number(input, next, number)) return false;
    for (std::size_t left = number; left > 0; --left) {
      if (!take_number(input, next, number) || input.size() < next + number + 2) return false;
      command.push_back(input.substr(next, number));
      next += number + 2;
    }
    at = next;
    return true;
  }
  static bool take_number(const std::string& input, std::size_t& at, std::size_t& number) {
    const auto end = input.find("\r\n", at);
    if (end == std::string::npos) return false;
    number = std::stoul(input.substr(at + 1, end - at - 1));
    at = end + 2;
    return true;
  }

  boost::asio::ip::tcp::acceptor acceptor_;
  std::vector<std::shared_ptr<session>> sessions_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace weir::tests
