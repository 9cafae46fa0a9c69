-- SPDX-License-Identifier: Apache-2.0
-- Since when the server has data: the first process that asks notes it, heartbeats keep it, and with the data it is
-- lost. Its own script, asked by new connections under `cold_start: empty`. KEYS: where it is noted. Replies
-- microseconds since the epoch.
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local since = redis.call('GET', KEYS[1])
if not since then redis.call('SET', KEYS[1], string.format('%.0f', now)) end
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', math.floor(now / 1000) + 2592000000)) -- 30 days
return tonumber(since or now)
