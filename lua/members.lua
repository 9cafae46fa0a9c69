-- SPDX-License-Identifier: Apache-2.0
-- A heartbeat, behind a clock prelude: tells that this process lives, and learns how many do. Its own script, not part of the decision script.
-- KEYS: the members, the configurations they run (sorted sets by time last heard of), the number of resets, and since
-- when the server has data (see since.lua).
-- ARGV: member, fingerprint of its configuration. Replies now, members of the last 3 s, configurations of the last 3 s,
-- number of resets.
local counts = {}
for i = 1, 2 do
  redis.call('ZADD', KEYS[i], string.format('%.0f', now), ARGV[i])
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', string.format('(%.0f', now - 60000000))
  redis.call('PEXPIREAT', KEYS[i], string.format('%.0f', math.floor(now / 1000) + 60001))
  counts[i] = redis.call('ZCOUNT', KEYS[i], string.format('%.0f', now - 3000000), '+inf')
end
if not redis.call('GET', KEYS[4]) then redis.call('SET', KEYS[4], string.format('%.0f', now)) end
redis.call('PEXPIREAT', KEYS[4], string.format('%.0f', math.floor(now / 1000) + 2592000000)) -- 30 days
return { now, counts[1], counts[2], tonumber(redis.call('GET', KEYS[3]) or 0) }
