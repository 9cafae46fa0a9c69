// SPDX-License-Identifier: Apache-2.0
#include "limiter/redis/handshake.hpp"

#include "limiter/redis/errors.hpp"
#include "lua/scripts.hpp"

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

/// The script writes instants with `%d`, which needs 64 bits.
bool is_narrow(std::string_view info) noexcept {
  return info.find("arch_bits:32") != std::string_view::npos;
}

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

void append_auth(std::string& out, const login& credentials) {
  if (credentials.password.empty()) return;
  if (credentials.username.empty()) return append_command(out, {"AUTH", credentials.password});
  append_command(out, {"AUTH", credentials.username, credentials.password});
}

std::string_view handshake::command(step s) noexcept {
  constexpr std::string_view names[] = {"AUTH", "SELECT", "INFO", "INFO", "ROLE", "SCRIPT LOAD", "EVAL", ""};
  return names[static_cast<std::size_t>(s)];
}

handshake::handshake(const login& credentials, std::string_view script, std::string_view sha1,
                     std::string& out, std::string_view since_key)
    : step_(step::info),
      selects_(credentials.database != 0),
      only_master_(credentials.only_master),
      asks_since_(!since_key.empty()),
      sha1_(sha1) {
  if (selects_) step_ = step::select;
  if (!credentials.password.empty()) step_ = step::auth;
  append_auth(out, credentials);
  if (selects_) append_command(out, {"SELECT", std::to_string(credentials.database)});
  append_command(out, {"INFO", "server"});
  append_command(out, {"INFO", "memory"});
  if (only_master_) append_command(out, {"ROLE"});
  append_command(out, {"SCRIPT", "LOAD", script});
  if (asks_since_) append_command(out, {"EVAL", lua::since_script(), "1", since_key});
}

handshake::progress handshake::on_reply(const reply& answer) {
  if (!judge(answer)) return progress::failed;
  advance();
  return step_ == step::done ? progress::done : progress::more;
}

handshake::progress handshake::on_role(const scanned_reply& answer) {
  const auto& tokens = answer.tokens;
  if (tokens[0].type == reply_token::kind::error) {
    (void)refused(answer.text(tokens[0]));
    return progress::failed;
  }
  if (tokens.size() < 2 || tokens[1].type != reply_token::kind::text) {
    (void)unexpected();
    return progress::failed;
  }
  if (answer.text(tokens[1]) != "master") {
    (void)fail(errc::readonly, "the server is no master");
    return progress::failed;
  }
  advance();
  return progress::more;
}

bool handshake::judge(const reply& answer) {
  if (answer.type == reply::kind::error) return refused(answer.text);
  if (step_ == step::info) return judge_info(answer);
  if (step_ == step::memory) return judge_memory(answer);
  if (step_ == step::load) return judge_load(answer);
  if (step_ == step::since) return judge_since(answer);
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
  if (is_narrow(answer.text)) return fail(errc::refused, "the server is a 32-bit build: 64 bits are needed");
  const version found = parse_version(answer.text);
  if (std::tie(found.major, found.minor) >= std::tie(oldest.major, oldest.minor)) return true;
  return fail(errc::refused, "server version " + std::to_string(found.major) + "." +
                                 std::to_string(found.minor) + " is too old: Redis 6.2 or newer is needed");
}

bool handshake::judge_memory(const reply& answer) {
  if (answer.type != reply::kind::bulk) return unexpected();
  constexpr std::string_view field = "maxmemory_policy:";
  const std::string_view info = answer.text;
  const auto at = info.find(field);
  if (at == std::string_view::npos) return true;
  const std::string_view rest = info.substr(at + field.size());
  constexpr std::size_t longest = 32;
  memory_policy_ = rest.substr(0, rest.find_first_of("\r\n")).substr(0, longest);
  return true;
}

bool handshake::judge_load(const reply& answer) {
  return (answer.type == reply::kind::bulk && answer.text == sha1_) || unexpected();
}

bool handshake::judge_since(const reply& answer) {
  if (answer.type != reply::kind::integer || answer.integers.front() <= 0) return unexpected();
  since_us_ = answer.integers.front();
  return true;
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
  if (step_ == step::role && !only_master_) step_ = step::load;
  if (step_ == step::since && !asks_since_) step_ = step::done;
}

}  // namespace weir::limiter::redis
