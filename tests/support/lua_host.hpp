// SPDX-License-Identifier: Apache-2.0
// Runs a Redis script in an embedded Lua 5.1 over a store in memory: the few commands the decision script
// uses, with Redis' semantics, and without a server.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

struct lua_State;

namespace weir::tests {

class lua_host {
 public:
  struct value {
    std::string text;
    std::deque<std::string> list;  ///< used when is_list
    bool is_list = false;
    std::int64_t expires_at_ms = 0;        ///< 0 = never
    std::map<std::string, double> scores;  ///< a sorted set when not empty
    friend bool operator==(const value&, const value&) = default;
  };
  struct result {
    std::vector<std::int64_t> integers;
    std::string error;  ///< error reply or failed script; empty = none
  };

  /// Throws std::runtime_error when the script does not compile.
  explicit lua_host(std::string_view script);
  ~lua_host();
  lua_host(const lua_host&) = delete;
  lua_host& operator=(const lua_host&) = delete;

  result evaluate(const std::vector<std::string>& keys, const std::vector<std::string>& arguments);
  /// A RESP command EVALSHA or EVAL, as a client would send it; its script is taken to be this one.
  result evaluate(std::string_view command);

  std::map<std::string, value> data;
  bool full = false;        ///< refuses SET, as a server without memory does
  bool expire = false;      ///< drop keys whose TTL has passed at `now_us`
  std::int64_t now_us = 0;  ///< the clock of the TTLs
  std::int64_t reads = 0;   ///< commands since the start
  std::int64_t writes = 0;

 private:
  static int call(lua_State* state);
  static int protected_call(lua_State* state);
  const char* dispatch(lua_State* state, int& results);
  const char* get(lua_State* state, const std::string& key);
  const char* list_length(lua_State* state, const std::string& key);
  const char* list_index(lua_State* state, const std::string& key);
  const char* set(lua_State* state, const std::string& key);
  const char* list_trim(lua_State* state, const std::string& key);
  const char* list_push(lua_State* state, const std::string& key);
  const char* expire_at(lua_State* state, const std::string& key);
  const char* sorted_set(lua_State* state, const std::string& command, const std::string& key, int& results);
  value* find(const std::string& key);

  struct closer {
    void operator()(lua_State* state) const noexcept;
  };
  std::unique_ptr<lua_State, closer> state_;
  std::set<std::string> declared_;
};

}  // namespace weir::tests
