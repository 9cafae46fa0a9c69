// SPDX-License-Identifier: Apache-2.0
// What a new connection says before its first decision: AUTH, SELECT, INFO server, INFO memory, ROLE, SCRIPT
// LOAD, and since when there is data, in one write. Pure: bytes out, replies in.
#pragma once

#include "limiter/errc.hpp"
#include "limiter/redis/reply_reader.hpp"
#include "limiter/redis/reply_scanner.hpp"

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
  bool only_master = false;  ///< asks for ROLE and refuses a replica
};

/// Appends the AUTH command, if there is a password.
void append_auth(std::string& out, const login& credentials);

class handshake {
 public:
  enum class progress : std::uint8_t { more, done, failed };

  /// Appends all commands to `out`. `script` and `sha1` must outlive the handshake. `since_key`: where the
  /// server notes since when it has data; empty = not asked.
  handshake(const login& credentials, std::string_view script, std::string_view sha1, std::string& out,
            std::string_view since_key = {});

  /// Takes the replies in the order of the commands. After `failed` see failure() and cause().
  [[nodiscard]] progress on_reply(const reply& answer);

  /// True when the next reply is nested: it goes to on_role() instead.
  [[nodiscard]] bool expects_role() const noexcept { return step_ == step::role; }
  [[nodiscard]] progress on_role(const scanned_reply& answer);

  /// After `done`: the server's maxmemory-policy, empty when it did not tell.
  [[nodiscard]] const std::string& memory_policy() const noexcept { return memory_policy_; }

  /// After `done`: since when the server has data, microseconds since the epoch; 0 = it was not asked.
  [[nodiscard]] std::int64_t since_us() const noexcept { return since_us_; }

  [[nodiscard]] errc failure() const noexcept { return failure_; }
  /// For the log: what the server refused, never a secret.
  [[nodiscard]] const std::string& cause() const noexcept { return cause_; }

 private:
  enum class step : std::uint8_t { auth, select, info, memory, role, load, since, done };
  static std::string_view command(step s) noexcept;
  // These return false after noting the failure.
  bool judge(const reply& answer);
  bool judge_info(const reply& answer);
  bool judge_memory(const reply& answer);
  bool judge_load(const reply& answer);
  bool judge_since(const reply& answer);
  bool refused(std::string_view error_text);
  bool unexpected();
  bool fail(errc failure, std::string cause);
  void advance();

  step step_;
  bool selects_;
  bool only_master_;
  bool asks_since_;
  std::string_view sha1_;
  errc failure_ = errc::ok;
  std::string cause_;
  std::string memory_policy_;
  std::int64_t since_us_ = 0;
};

}  // namespace weir::limiter::redis
