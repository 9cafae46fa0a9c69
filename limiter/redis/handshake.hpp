// SPDX-License-Identifier: Apache-2.0
// What a new connection says before its first decision: AUTH, SELECT, INFO server, SCRIPT LOAD, in one write.
// Pure: bytes out, replies in.
#pragma once

#include "limiter/errc.hpp"
#include "limiter/redis/reply_reader.hpp"

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace weir::limiter::redis {

/// Appends one command as a RESP array of bulk strings.
void append_command(std::string& out, std::initializer_list<std::string_view> words);

/// Credentials and database of a connection; empty password = no AUTH, database 0 = no SELECT.
struct login {
  std::string_view username;
  std::string_view password;
  int database = 0;
};

class handshake {
 public:
  enum class progress : std::uint8_t { more, done, failed };

  /// Appends all commands to `out`. `script` and `sha1` must outlive the handshake.
  handshake(const login& credentials, std::string_view script, std::string_view sha1, std::string& out);

  /// Takes the replies in the order of the commands. After `failed` see failure() and cause().
  [[nodiscard]] progress on_reply(const reply& answer);

  [[nodiscard]] errc failure() const noexcept { return failure_; }
  /// For the log: what the server refused, never a secret.
  [[nodiscard]] const std::string& cause() const noexcept { return cause_; }

 private:
  enum class step : std::uint8_t { auth, select, info, load, done };
  static std::string_view command(step s) noexcept;
  // These return false after noting the failure.
  bool judge(const reply& answer);
  bool judge_info(const reply& answer);
  bool judge_load(const reply& answer);
  bool refused(std::string_view error_text);
  bool unexpected();
  bool fail(errc failure, std::string cause);
  void advance();

  step step_;
  bool selects_;
  std::string_view sha1_;
  errc failure_ = errc::ok;
  std::string cause_;
};

}  // namespace weir::limiter::redis
