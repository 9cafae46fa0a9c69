-- SPDX-License-Identifier: Apache-2.0
end

-- Takes of several requests in one call, each decided by itself and in this order, at one instant. What one of them
-- fails by is its own affair: it is answered -1, has changed nothing, and is to be asked again alone. Contract: README.md.
local ARGV, KEYS = ARGV, KEYS
local reply, at, key, position = { now }, 2, 1, 1
repeat
  local kind = ARGV[position]
  if kind == 't' then -- one bucket whose rate needs no fractions: as at the top of the driver
    local name, n, q, cap = ARGV[position + 1], ARGV[position + 2] + 0, ARGV[position + 3] + 0, ARGV[position + 4] + 0
    local own, value = KEYS[key], nil
    local ddd = own and string.match(name, '^[%w_-][%w_-][%w_-][%w_-](%d%d%d)$')
    local F
    if ddd and n >= 0 and n <= 2147483648 and n % 1 == 0 and
        q >= 1 and q % 1 == 0 and cap >= q and cap % q == 0 and cap < 4503599627370496 then -- 2^52
      value, F = redis.pcall('GET', own), now
      if value then
        F = type(value) == 'string' and string.sub(value, -3) == ddd and tonumber(string.sub(value, 1, -4))
      end
    end
    if F and F - now <= cap then
      local demand, used = n * q, F > now and F - now or 0
      local free, allowed, retry, failed = cap - used, 1, 0, false
      if demand > free then
        allowed, retry = 0, demand > cap and -1 or demand - free
      elseif demand > 0 then
        used, free = used + demand, free - demand
        F = now + used
        failed = redis.pcall('SET', own, string.format('%d', F) .. ddd, 'PXAT', string.format('%d', F / 1000 + 1)).err
      end
      reply[at], reply[at + 1], reply[at + 2], reply[at + 3], reply[at + 4], reply[at + 5] =
        failed and -1 or allowed, allowed, (free - free % q) / q, retry, used, used
    else
      local done, answer = pcall(decide, { own }, { 'take', '1', 't', '1', name, ARGV[position + 2], '1',
        ARGV[position + 3], ARGV[position + 4] })
      done = done and not answer.err
      for i = 0, 5 do reply[at + i] = done and answer[i + 2] or -1 end
    end
    at, key, position = at + 6, key + 1, position + 5
  else -- any other: its numbers of keys, of arguments and of rules, then what the driver gets
    local keys, arguments, rules = kind + 0, ARGV[position + 1] + 0, ARGV[position + 2] + 0
    local first = position + 3
    local done, answer = pcall(decide, { unpack(KEYS, key, key + keys - 1) },
      { unpack(ARGV, first, first + arguments - 1) })
    done = done and not answer.err
    for i = 0, 5 * rules do reply[at + i] = done and answer[i + 2] or -1 end
    at, key, position = at + 5 * rules + 1, key + keys, first + arguments
  end
until not ARGV[position]
return reply
