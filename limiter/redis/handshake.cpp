// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/handshake.hpp"

#include "limiter/redis/errors.hpp"

#include <charconv>
#include <tuple>
#include <utility>

namespace weir::limiter::redis {

namespace {

struct version {
  int major = 0;
  int minor = 0;
};

/// Oldest server with everything the script needs (SET PXAT, replication by effects).
constexpr version oldest{6, 2};

/// "redis_version:7.0.15\r\n" somewhere in the reply to INFO server.
version parse_version(std::string_view info) noexcept {
  constexpr std::string_view field = "redis_version:";
  version found;
  const auto at = info.find(field);
  if (at == std::string_view::npos) return found;
  const char* const end = info.data() + info.size();
  const auto major = std::from_chars(info.data() + at + field.size(), end, found.major);
  if (major.ptr != end && *major.ptr == '.') std::from_chars(major.ptr + 1, end, found.minor);
  return found;
}

}  // namespace

void append_command(std::string& out, std::initializer_list<std::string_view> words) {
  out += '*';
  out += std::to_string(words.size());
  out += "\r\n";
  for (const std::string_view word : words) {
    out += '$';
    out += std::to_string(word.size());
    out += "\r\n";
    out += word;
    out += "\r\n";
  }
}

std::string_view handshake::command(step s) noexcept {
  constexpr std::string_view names[] = {"AUTH", "SELECT", "INFO", "SCRIPT LOAD", ""};
  return names[static_cast<std::size_t>(s)];
}

handshake::handshake(const login& credentials, std::string_view script, std::string_view sha1,
                     std::string& out)
    : step_(step::info), selects_(credentials.database != 0), sha1_(sha1) {
  if (selects_) step_ = step::select;
  if (!credentials.password.empty()) {
    step_ = step::auth;
    if (credentials.username.empty()) {
      append_command(out, {"AUTH", credentials.password});
    } else {
      append_command(out, {"AUTH", credentials.username, credentials.password});
    }
  }
  if (selects_) append_command(out, {"SELECT", std::to_string(credentials.database)});
  append_command(out, {"INFO", "server"});
  append_command(out, {"SCRIPT", "LOAD", script});
}

handshake::progress handshake::on_reply(const reply& answer) {
  if (!judge(answer)) return progress::failed;
  advance();
  return step_ == step::done ? progress::done : progress::more;
}

bool handshake::judge(const reply& answer) {
  if (answer.type == reply::kind::error) return refused(answer.text);
  if (step_ == step::info) return judge_info(answer);
  if (step_ == step::load) return judge_load(answer);
  return answer.type == reply::kind::status || unexpected();
}

bool handshake::refused(std::string_view error_text) {
  const errc classified = classify_error(error_text);
  const bool password_refused = step_ == step::auth && classified == errc::script;
  // the code alone: the text of an error may repeat the arguments, here the password
  return fail(password_refused ? errc::auth : classified,
              std::string(command(step_)) + " refused: " + std::string(error_code(error_text)));
}

bool handshake::judge_info(const reply& answer) {
  if (answer.type != reply::kind::bulk) return unexpected();
  const version found = parse_version(answer.text);
  if (std::tie(found.major, found.minor) >= std::tie(oldest.major, oldest.minor)) return true;
  return fail(errc::refused, "server version " + std::to_string(found.major) + "." +
                                 std::to_string(found.minor) + " is too old: Redis 6.2 or newer is needed");
}

bool handshake::judge_load(const reply& answer) {
  return (answer.type == reply::kind::bulk && answer.text == sha1_) || unexpected();
}

bool handshake::unexpected() {
  return fail(errc::protocol, "unexpected reply to " + std::string(command(step_)));
}

bool handshake::fail(errc failure, std::string cause) {
  failure_ = failure;
  cause_ = std::move(cause);
  return false;
}

void handshake::advance() {
  step_ = static_cast<step>(static_cast<std::uint8_t>(step_) + 1);
  if (step_ == step::select && !selects_) step_ = step::info;
}

}  // namespace weir::limiter::redis
