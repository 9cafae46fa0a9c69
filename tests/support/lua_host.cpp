// SPDX-License-Identifier: Apache-2.0
#include "tests/support/lua_host.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <lua.hpp>
#include <stdexcept>
#include <utility>

namespace weir::tests {
namespace {

constexpr const char* wrong_type = "WRONGTYPE";

std::string text_at(lua_State* state, int index) {
  std::size_t size = 0;
  const char* text = lua_tolstring(state, index, &size);
  return text ? std::string(text, size) : std::string();
}

std::int64_t integer_at(lua_State* state, int index) {
  return std::strtoll(text_at(state, index).c_str(), nullptr, 10);
}

void push_strings(lua_State* state, const char* global, const std::vector<std::string>& strings) {
  lua_createtable(state, static_cast<int>(strings.size()), 0);
  for (std::size_t i = 0; i < strings.size(); ++i) {
    lua_pushlstring(state, strings[i].data(), strings[i].size());
    lua_rawseti(state, -2, static_cast<int>(i + 1));
  }
  lua_setglobal(state, global);
}

int error_reply(lua_State* state) {
  lua_createtable(state, 0, 1);
  lua_pushvalue(state, 1);
  lua_setfield(state, -2, "err");
  return 1;
}

void read_reply(lua_State* state, lua_host::result& out) {
  if (!lua_istable(state, -1)) {
    out.error = "reply is no table";
    return;
  }
  lua_getfield(state, -1, "err");
  if (lua_isstring(state, -1)) out.error = text_at(state, -1);
  lua_pop(state, 1);
  const std::size_t size = lua_objlen(state, -1);
  for (std::size_t i = 1; i <= size && out.error.empty(); ++i) {
    lua_rawgeti(state, -1, static_cast<int>(i));
    const double number = lua_tonumber(state, -1);
    if (lua_type(state, -1) != LUA_TNUMBER || number != std::floor(number))
      out.error = "reply is not all integers";
    out.integers.push_back(static_cast<std::int64_t>(number));
    lua_pop(state, 1);
  }
}

}  // namespace

void lua_host::closer::operator()(lua_State* state) const noexcept {
  lua_close(state);
}

lua_host::lua_host(std::string_view script) : state_(luaL_newstate()) {
  lua_State* state = state_.get();
  luaL_openlibs(state);
  lua_createtable(state, 0, 3);
  lua_pushlightuserdata(state, this);
  lua_pushcclosure(state, &lua_host::call, 1);
  lua_setfield(state, -2, "call");
  lua_pushlightuserdata(state, this);
  lua_pushcclosure(state, &lua_host::protected_call, 1);
  lua_setfield(state, -2, "pcall");
  lua_pushcfunction(state, &error_reply);
  lua_setfield(state, -2, "error_reply");
  lua_setglobal(state, "redis");
  if (luaL_loadbuffer(state, script.data(), script.size(), "script") != 0) {
    throw std::runtime_error(text_at(state, -1));
  }
}

lua_host::~lua_host() = default;

lua_host::result lua_host::evaluate(const std::vector<std::string>& keys,
                                    const std::vector<std::string>& arguments) {
  lua_State* state = state_.get();
  declared_ = {keys.begin(), keys.end()};
  push_strings(state, "KEYS", keys);
  push_strings(state, "ARGV", arguments);
  lua_pushvalue(state, 1);  // the compiled script stays at the bottom
  result out;
  if (lua_pcall(state, 0, 1, 0) != 0) {
    out.error = text_at(state, -1);
  } else {
    read_reply(state, out);
  }
  lua_settop(state, 1);
  return out;
}

lua_host::result lua_host::evaluate(std::string_view command) {
  const auto number = [&command] {
    const std::size_t end = command.find("\r\n");
    const auto n =
        static_cast<std::size_t>(std::strtoull(std::string(command.substr(1, end - 1)).c_str(), nullptr, 10));
    command.remove_prefix(end + 2);
    return n;
  };
  std::vector<std::string> words(number());
  for (std::string& word : words) {
    const std::size_t size = number();
    word = command.substr(0, size);
    command.remove_prefix(size + 2);
  }
  const auto keys = words.begin() + 3;
  const auto arguments = keys + std::strtol(words.at(2).c_str(), nullptr, 10);
  return evaluate({keys, arguments}, {arguments, words.end()});
}

// An error leaves Lua by longjmp, over no object that needs destruction.
int lua_host::call(lua_State* state) {
  auto* self = static_cast<lua_host*>(lua_touserdata(state, lua_upvalueindex(1)));
  int results = 1;
  const char* error = self->dispatch(state, results);
  if (error) return luaL_error(state, "%s", error);
  return results;
}

int lua_host::protected_call(lua_State* state) {
  auto* self = static_cast<lua_host*>(lua_touserdata(state, lua_upvalueindex(1)));
  int results = 1;
  const char* error = self->dispatch(state, results);
  if (error == nullptr && results > 0) return results;
  lua_createtable(state, 0, 1);
  lua_pushstring(state, error != nullptr ? error : "OK");
  lua_setfield(state, -2, error != nullptr ? "err" : "ok");
  return 1;
}

const char* lua_host::dispatch(lua_State* state, int& results) {
  const std::string command = text_at(state, 1);
  const std::string key = text_at(state, 2);
  if (!declared_.contains(key)) return "key is not declared";
  constexpr std::array<std::string_view, 7> reading{"GET",    "LLEN",   "LINDEX",       "ZRANGE",
                                                    "ZSCORE", "ZCOUNT", "ZRANGEBYSCORE"};
  const bool read = std::find(reading.begin(), reading.end(), command) != reading.end();
  ++(read ? reads : writes);
  if (command == "GET") return get(state, key);
  if (command == "LLEN") return list_length(state, key);
  if (command == "LINDEX") return list_index(state, key);
  if (command.starts_with('Z')) return sorted_set(state, command, key, results);
  results = 0;
  if (command == "SET") return full ? "OOM command not allowed" : set(state, key);
  if (command == "LTRIM") return list_trim(state, key);
  if (command == "RPUSH") return list_push(state, key);
  if (command == "PEXPIREAT") return expire_at(state, key);
  if (command != "DEL") return "unknown command";
  data.erase(key);
  return nullptr;
}

lua_host::value* lua_host::find(const std::string& key) {
  const auto found = data.find(key);
  if (found == data.end()) return nullptr;
  const std::int64_t until = found->second.expires_at_ms;
  if (!expire || until == 0 || now_us / 1000 <= until) return &found->second;
  data.erase(found);
  return nullptr;
}

const char* lua_host::get(lua_State* state, const std::string& key) {
  const value* v = find(key);
  if (v && v->is_list) return wrong_type;
  if (v) {
    lua_pushlstring(state, v->text.data(), v->text.size());
  } else {
    lua_pushboolean(state, 0);
  }
  return nullptr;
}

const char* lua_host::list_length(lua_State* state, const std::string& key) {
  const value* v = find(key);
  if (v && !v->is_list) return wrong_type;
  lua_pushnumber(state, v ? static_cast<double>(v->list.size()) : 0);
  return nullptr;
}

const char* lua_host::list_index(lua_State* state, const std::string& key) {
  const value* v = find(key);
  if (v && !v->is_list) return wrong_type;
  const std::int64_t size = v ? static_cast<std::int64_t>(v->list.size()) : 0;
  std::int64_t i = integer_at(state, 3);
  if (i < 0) i += size;
  if (i < 0 || i >= size) {
    lua_pushboolean(state, 0);
    return nullptr;
  }
  const std::string& element = v->list[static_cast<std::size_t>(i)];
  lua_pushlstring(state, element.data(), element.size());
  return nullptr;
}

const char* lua_host::set(lua_State* state, const std::string& key) {
  if (text_at(state, 4) != "PXAT") return "SET without PXAT";
  const std::int64_t at_ms = integer_at(state, 5);
  if (at_ms <= 0) return "bad PXAT";
  data[key] = {text_at(state, 3), {}, false, at_ms, {}};
  return nullptr;
}

const char* lua_host::list_trim(lua_State* state, const std::string& key) {
  value* v = find(key);
  if (!v) return nullptr;
  if (!v->is_list) return wrong_type;
  const auto size = static_cast<std::int64_t>(v->list.size());
  const auto absolute = [size](std::int64_t i) { return i < 0 ? i + size : i; };
  const std::int64_t first = std::max<std::int64_t>(0, absolute(integer_at(state, 3)));
  const std::int64_t last = std::min(size - 1, absolute(integer_at(state, 4)));
  if (first > last) {
    data.erase(key);
    return nullptr;
  }
  v->list.erase(v->list.begin() + last + 1, v->list.end());
  v->list.erase(v->list.begin(), v->list.begin() + first);
  return nullptr;
}

const char* lua_host::list_push(lua_State* state, const std::string& key) {
  value* v = find(key);
  if (!v) {
    v = &data[key];
    v->is_list = true;
  }
  if (!v->is_list) return wrong_type;
  for (int i = 3; i <= lua_gettop(state); ++i) v->list.push_back(text_at(state, i));
  return nullptr;
}

const char* lua_host::expire_at(lua_State* state, const std::string& key) {
  value* v = find(key);
  if (v) v->expires_at_ms = integer_at(state, 3);
  return nullptr;
}

namespace {

/// An end of a range of scores: `(5`, `5`, `-inf`, `+inf`.
struct bound {
  double score = 0;
  bool open = false;
};

bound bound_at(lua_State* state, int index) {
  std::string text = text_at(state, index);
  bound b;
  b.open = text.starts_with('(');
  if (b.open) text.erase(0, 1);
  b.score = std::strtod(text.c_str(), nullptr);  // reads inf too
  return b;
}

using member = std::pair<double, std::string>;

void push_members(lua_State* state, const std::vector<member>& members, bool with_scores) {
  lua_createtable(state, 0, 0);
  int i = 0;
  for (const auto& [score, name] : members) {
    lua_pushlstring(state, name.data(), name.size());
    lua_rawseti(state, -2, ++i);
    if (!with_scores) continue;
    lua_pushstring(state, std::to_string(static_cast<std::int64_t>(score)).c_str());
    lua_rawseti(state, -2, ++i);
  }
}

}  // namespace

const char* lua_host::sorted_set(lua_State* state, const std::string& command, const std::string& key,
                                 int& results) {
  value* v = find(key);
  if (v && v->scores.empty()) return wrong_type;
  std::vector<member> members;  // in the order of their scores
  if (v) {
    for (const auto& [name, score] : v->scores) members.emplace_back(score, name);
  }
  std::sort(members.begin(), members.end());
  const auto keep_range = [&members, state] {
    const bound low = bound_at(state, 3);
    const bound high = bound_at(state, 4);
    std::erase_if(members, [&](const member& m) {
      return m.first < low.score || (low.open && m.first == low.score) || m.first > high.score ||
             (high.open && m.first == high.score);
    });
  };
  if (command == "ZRANGE") {  // only the last one, with its score
    if (members.size() > 1) members.erase(members.begin(), members.end() - 1);
    push_members(state, members, true);
  } else if (command == "ZSCORE") {
    const std::string name = text_at(state, 3);
    if (v && v->scores.contains(name)) {
      lua_pushstring(state, std::to_string(static_cast<std::int64_t>(v->scores.at(name))).c_str());
    } else {
      lua_pushboolean(state, 0);
    }
  } else if (command == "ZCOUNT") {
    keep_range();
    lua_pushnumber(state, static_cast<double>(members.size()));
  } else if (command == "ZRANGEBYSCORE") {
    keep_range();
    const bool with_scores = lua_gettop(state) > 4;
    if (with_scores) {  // WITHSCORES LIMIT offset count
      const auto offset =
          std::min<std::size_t>(members.size(), static_cast<std::size_t>(integer_at(state, 7)));
      members.erase(members.begin(), members.begin() + static_cast<std::ptrdiff_t>(offset));
      members.resize(std::min<std::size_t>(members.size(), static_cast<std::size_t>(integer_at(state, 8))));
    }
    push_members(state, members, with_scores);
  } else {
    results = 0;
    if (command == "ZADD") {
      data[key].scores[text_at(state, 4)] = std::strtod(text_at(state, 3).c_str(), nullptr);
    } else if (command == "ZREM") {
      if (v) v->scores.erase(text_at(state, 3));
    } else if (command == "ZREMRANGEBYSCORE") {
      keep_range();
      for (const member& m : members) v->scores.erase(m.second);
    } else {
      return "unknown command";
    }
    if (v && v->scores.empty()) data.erase(key);
  }
  return nullptr;
}

}  // namespace weir::tests
