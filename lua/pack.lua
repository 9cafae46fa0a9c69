-- SPDX-License-Identifier: Apache-2.0
end

-- Takes of several requests in one call, each decided by itself and in this order, at one instant. What one of them
-- fails by is its own affair: it has changed nothing and is to be asked again alone. One straight piece, as the driver.
-- Contract: README.md.
local ARGV, KEYS = ARGV, KEYS
local FAILED = -9007199254740992 -- -2^53
local FIRST, LAST, KEY_COUNT, RULE_COUNT, BUCKETS = 1, 2, 3, 4, 5 -- of a shape: its arguments, keys and rules
local PATTERN, FORMAT, ID, FULL_AT, TEXT, EXPIRY = 1, 2, 3, 4, 5, 6 -- of the buckets of a key: how it reads; what was
local DEMAND, CAP = 7, 8 -- stored last, since subjects that are new are full at one instant; of each credits asked for

local shapes, position = {}, 3
for s = 1, ARGV[2] + 0 do
  local first, buckets = position + 4, false
  local last = position + 3 + ARGV[position + 2]
  if ARGV[position] == 'b' then
    buckets = {}
    for i = first + 2, last, 7 do
      local own, n, q, cap = ARGV[i + 1] + 0, ARGV[i + 3] + 0, ARGV[i + 5] + 0, ARGV[i + 6] + 0
      local id, ddd = string.match(ARGV[i + 2], '^([%w_-][%w_-][%w_-][%w_-])(%d%d%d)$')
      if not (id and ARGV[i] == 't' and ARGV[i + 4] == '1' and n >= 0 and n <= 2147483648 and n % 1 == 0 and
          q >= 1 and q % 1 == 0 and cap >= q and cap % q == 0 and cap < 4503599627370496 and -- 2^52
          own >= 1 and (own == #buckets or own == #buckets + 1)) then
        return redis.error_reply('ERR weir: invalid rule at argument ' .. i)
      end
      local bucket = buckets[own]
      if not bucket then -- alone in its key
        buckets[own] = { '^(%d+)' .. ddd .. '$', '%d' .. ddd, id, 0, '', '', n * q, cap }
      else
        if bucket[ID] then
          bucket[PATTERN], bucket[FORMAT] = '^' .. string.gsub(bucket[ID], '-', '%%-') .. '=(%d+)$', bucket[ID] .. '=%d'
          bucket[ID] = false
        end
        bucket[PATTERN] = string.sub(bucket[PATTERN], 1, -2) .. ';' .. string.gsub(id, '-', '%%-') .. '=(%d+)$'
        bucket[FORMAT] = bucket[FORMAT] .. ';' .. id .. '=%d'
        bucket[#bucket + 1] = n * q
        bucket[#bucket + 1] = cap
      end
    end
  end
  shapes[s] = { first, last, ARGV[position + 1] + 0, ARGV[position + 3] + 0, buckets }
  position = last + 1
end

local key, at = 1, 2
local reply = { now, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil,
  nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil } -- room for 32 lone buckets
for i = 1, #ARGV[1] do
  local shape = shapes[string.byte(ARGV[1], i) - 64] -- 'A' is the first
  local buckets, rules = shape[BUCKETS], shape[RULE_COUNT]
  local plain = false -- the keys hold these buckets only, within their capacity
  if rules == 1 and buckets then
    local bucket, own = buckets[1], KEYS[key]
    local cap, demand, value, F = bucket[CAP], bucket[DEMAND], redis.pcall('GET', own), now
    if value then
      F = not value.err and string.match(value, bucket[PATTERN])
      F = F and F + 0
    end
    if F and F - now <= cap then
      local used = F > now and F - now or 0
      if demand > cap - used then
        used = -1 - used
      elseif demand > 0 then
        used = used + demand
        F = now + used
        if F ~= bucket[FULL_AT] then
          bucket[FULL_AT], bucket[TEXT], bucket[EXPIRY] =
            F, string.format(bucket[FORMAT], F), string.format('%d', F / 1000 + 1) -- cut to an integer
        end
        if redis.pcall('SET', own, bucket[TEXT], 'PXAT', bucket[EXPIRY]).err then used = FAILED end
      end
      reply[at], plain = used, true
    end
  elseif buckets then
    local denied, next = false, at
    for b = 1, #buckets do
      local bucket, value = buckets[b], redis.pcall('GET', KEYS[key + b - 1])
      local full = value and not value.err and { string.match(value, bucket[PATTERN]) }
      plain = not value or full and full[1]
      if not plain then break end
      for j = DEMAND, #bucket, 2 do
        local F, demand, cap = full and full[(j - 5) / 2] + 0 or now, bucket[j], bucket[j + 1]
        plain = plain and F - now <= cap and demand > 0
        local used = F > now and F - now or 0
        if demand > cap - used then denied, used = true, -1 - used end
        reply[next], next = used, next + 1
      end
      if not plain then break end
    end
    if plain and not denied then -- all or none
      next = at
      for b = 1, #buckets do
        local bucket, full, X = buckets[b], {}, 0
        for j = DEMAND, #bucket, 2 do
          local used = reply[next] + bucket[j]
          local F = now + used
          reply[next], next, full[(j - 5) / 2] = used, next + 1, F
          if F > X then X = F end
        end
        if redis.pcall('SET', KEYS[key + b - 1], string.format(bucket[FORMAT], unpack(full)), 'PXAT',
            string.format('%d', X / 1000 + 1)).err then
          reply[at] = FAILED
          break
        end
      end
    end
  end
  if not plain then -- by the driver
    local done, answer = pcall(decide, { unpack(KEYS, key, key + shape[KEY_COUNT] - 1) },
      { unpack(ARGV, shape[FIRST], shape[LAST]) })
    done = done and not answer.err
    if buckets then
      for j = 0, rules - 1 do
        local allowed, used = done and answer[5 * j + 3], done and answer[5 * j + 7]
        reply[at + j] = not done and FAILED or allowed > 0 and used or -1 - used
      end
    else
      for j = 0, 5 * rules do reply[at + j] = done and answer[j + 2] or FAILED end
    end
  end
  key, at = key + shape[KEY_COUNT], at + (buckets and rules or 5 * rules + 1)
end
return reply
