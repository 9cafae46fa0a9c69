-- SPDX-License-Identifier: Apache-2.0
-- A token bucket per key, as usually written: a hash of two fields. KEYS: the buckets; all must have a token.
-- ARGV: capacity, tokens per second. Reply: 1 or 0, the least that is left, seconds until the next token.
local capacity, rate = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call("TIME")
local now = time[1] + time[2] / 1000000
local levels, least = {}, capacity
for i, key in ipairs(KEYS) do
  local state = redis.call("HMGET", key, "level", "at")
  local level = tonumber(state[1]) or capacity
  local at = tonumber(state[2]) or now
  levels[i] = math.min(capacity, level + math.max(0, now - at) * rate)
  least = math.min(least, levels[i])
end
if least < 1 then
  return {0, 0, math.ceil((1 - least) / rate)}
end
for i, key in ipairs(KEYS) do
  redis.call("HMSET", key, "level", levels[i] - 1, "at", now)
  redis.call("EXPIRE", key, math.min(86400, math.ceil(capacity / rate * 2)))
end
return {1, math.floor(least - 1), 0}
