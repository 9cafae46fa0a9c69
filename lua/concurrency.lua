-- SPDX-License-Identifier: Apache-2.0
-- At most L holders at once. A holder that does not renew loses its slot when its lease ends: a crash blocks a slot for
-- one lease. State is a sorted set of its own, holder -> end of lease; a slot is held iff that lies after now. An end
-- beyond now + lease (the clock went back, the lease was shortened) counts as now + lease. Twin of
-- limiter/algorithms/concurrency.cpp. Unlike the others it reads and writes its key by itself.
local function concurrency()
  local function whole(number)
    return string.format('%.0f', number)
  end

  local function valid(limit, lease, holder)
    return limit and lease and limit >= 1 and limit <= 100000 and limit % 1 == 0 and
      lease >= 1 and lease < 4503599627370496 and lease % 1 == 0 and -- 2^52
      holder and #holder >= 1 and #holder <= 40 and not string.find(holder, '[^%w._-]')
  end

  local function latest_of(key)
    return tonumber(redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')[2]) or 0
  end

  -- `set` = { key = its key }; noted in it: latest end of a lease, what to do with the holder (`change`).
  -- -> allowed, retry, granted, held slots, held slots after a commit, whether the state must be repaired, whether a
  -- commit writes
  local function evaluate(op, now, set, n, limit, lease, holder)
    local key = set.key
    set.latest = latest_of(key)
    local held = set.latest > now and redis.call('ZCOUNT', key, '(' .. whole(now), '+inf') or 0
    local beyond = set.latest > now + lease
    local ends = held > 0 and tonumber(redis.call('ZSCORE', key, holder))
    local mine = ends and ends > now
    if n == 0 then return true, 0, 0, held, held, beyond, false end
    if op == 'refund' then
      set.change = 'release'
      return mine or false, 0, 0, held, mine and held - 1 or held, beyond, mine
    end
    set.change = 'hold'
    if mine then return true, 0, op == 'take_upto' and 1 or 0, held, held, beyond, true end
    if op == 'renew' then return false, 0, 0, held, held, beyond, false end
    if held < limit then return true, 0, op == 'take_upto' and 1 or 0, held, held + 1, beyond, true end
    -- After a reload more than L may be held: all but L - 1 leases must end.
    local first = redis.call('ZRANGEBYSCORE', key, '(' .. whole(now), '+inf', 'WITHSCORES', 'LIMIT', held - limit, 1)
    return false, math.min(tonumber(first[2]), now + lease) - now, 0, held, held, beyond, false
  end

  -- Repairs what lies beyond, drops what has ended, then holds or releases a slot.
  local function write(commit, now, set, holder, lease, beyond)
    local key, ends = set.key, whole(now + lease)
    if beyond then
      local late = redis.call('ZRANGEBYSCORE', key, '(' .. ends, '+inf')
      for i = 1, #late do redis.call('ZADD', key, ends, late[i]) end
    end
    if commit then
      redis.call('ZREMRANGEBYSCORE', key, '-inf', whole(now))
      if set.change == 'hold' then
        redis.call('ZADD', key, ends, holder)
      else
        redis.call('ZREM', key, holder)
      end
    end
    set.latest = latest_of(key)
    local X = set.latest
    if X > 0 then redis.call('PEXPIREAT', key, (X - X % 1000) / 1000 + 1) end
  end

  -- held slots -> remaining, reset, D
  local function report(held, now, set, limit, lease)
    return math.max(0, limit - held), held > 0 and math.min(set.latest, now + lease) - now or 0, held
  end

  return { 3, valid, evaluate, report, write, 'c' } -- parameters L lease holder
end
