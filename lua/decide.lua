-- SPDX-License-Identifier: Apache-2.0
-- Driver: reads and evaluates every rule, then commits all or none. Contract: README.md.
-- Redis runs this chunk anew for every call, so what a line costs counts. A local that a function captures costs as much
-- as twenty lines of plain code: functions here capture nothing. Records are arrays, which cost half of what named
-- fields do, and are made in one piece, since growing costs again. tonumber() reads a text twice, `+ 0` once.
local ARGUMENTS, VALID, EVALUATE, REPORT, WRITE, OWN_KEY, BEGAN = 1, 2, 3, 4, 5, 6, 7 -- of an algorithm;
local ALGORITHM, KEY, NAME, N, P1, P2, P3 = 1, 2, 3, 4, 5, 6, 7 -- of a rule: what is asked;
local ALLOWED, RETRY, GRANTED, USED, AFTER, BEYOND, CARRIED = 8, 9, 10, 11, 12, 13, 14 -- what its algorithm says;
local STATE, STORED_AS, ID, VALUE, CHANGED = 15, 16, 17, 18, 19 -- stored text, list or set; id of the stored entry; its
-- own; the subject's value, a packed one between two ';'; true: to be stored anew

-- The common case first, in three quarters of the time of what follows: one take of one bucket whose rate needs no
-- fractions (r = 1) and that is alone in its key. All else goes on below: bad arguments and repairs, too.
local ARGV, KEYS = ARGV, KEYS
if ARGV[7] == '1' and ARGV[3] == 't' and ARGV[1] == 'take' and ARGV[2] == '1' and ARGV[4] == '1' and not ARGV[10] then
  local key, n, q, cap = KEYS[1], ARGV[6] + 0, ARGV[8] + 0, ARGV[9] + 0
  local ddd = string.match(ARGV[5], '^[%w_-][%w_-][%w_-][%w_-](%d%d%d)$')
  if key and ddd and n >= 0 and n <= 2147483648 and n % 1 == 0 and
      q >= 1 and q % 1 == 0 and cap >= q and cap % q == 0 and cap < 4503599627370496 then -- 2^52
    local value, F = redis.call('GET', key), now
    if value then F = string.sub(value, -3) == ddd and tonumber(string.sub(value, 1, -4)) end
    if F and F - now <= cap then
      local demand, used = n * q, F > now and F - now or 0
      local free = cap - used
      if demand > free then
        return { now, 0, 0, (free - free % q) / q, demand > cap and -1 or demand - free, used, used }
      end
      if demand > 0 then
        used, free = used + demand, free - demand
        F = now + used
        redis.call('SET', key, string.format('%d', F) .. ddd, 'PXAT', string.format('%d', F / 1000 + 1)) -- cut to an integer
      end
      return { now, 1, 1, (free - free % q) / q, 0, used, used }
    end
  end
end

-- The next common case: one take of several such buckets of one subject, whose value holds just these in this order.
local fetched -- the value of that subject: false when it has none, nil when it was not asked for
if ARGV[10] == 't' and ARGV[1] == 'take' and ARGV[2] == '1' and KEYS[1] and not KEYS[2] then
  fetched = redis.call('GET', KEYS[1])
  local reply = { now, 1, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil,
    nil }
  local from, at, mark, stored, X, plain = 1, 3, '', '', 0, true
  for i = 3, #ARGV, 7 do
    local name = ARGV[i + 2]
    plain = ARGV[i] == 't' and ARGV[i + 1] == '1' and ARGV[i + 4] == '1' and ARGV[i + 6] and #name == 7 and
      string.find(name, '^[%w_-]+$')
    if not plain then break end
    local n, q, cap = ARGV[i + 3] + 0, ARGV[i + 5] + 0, ARGV[i + 6] + 0
    plain = n >= 1 and n <= 2147483648 and n % 1 == 0 and
      q >= 1 and q % 1 == 0 and cap >= q and cap % q == 0 and cap < 4503599627370496 -- 2^52
    if not plain then break end
    local id, F = mark .. string.sub(name, 1, 4) .. '=', now
    if fetched then
      F = string.sub(fetched, from, from + #id - 1) == id and tonumber(string.sub(fetched, from + #id, from + #id + 15))
      from = from + #id + 16 -- an instant has 16 digits
    end
    local demand = n * q
    plain = F and F - now <= cap and demand <= cap -- what lies below is exact
    if not plain then break end
    local used = F > now and F - now or 0
    local free = cap - used - demand
    if free < 0 then reply[2] = 0 end
    F = now + used + demand
    mark, stored = ';', stored .. id .. string.format('%d', F)
    if F > X then X = F end
    reply[at], reply[at + 1], reply[at + 2], reply[at + 3], reply[at + 4] =
      1, (free - free % q) / q, 0, used + demand, used + demand
    at = at + 5
  end
  if plain and (not fetched or #fetched == from - 1) then
    if reply[2] == 1 then
      redis.call('SET', KEYS[1], stored, 'PXAT', string.format('%d', X / 1000 + 1)) -- cut to an integer
      return reply
    end
    at = 3
    for i = 3, #ARGV, 7 do -- as it was
      local q, cap = ARGV[i + 5] + 0, ARGV[i + 6] + 0
      local demand = ARGV[i + 3] * q
      local used = reply[at + 4] - demand
      local free = cap - used
      reply[at], reply[at + 1], reply[at + 3], reply[at + 4] = 1, (free - free % q) / q, used, used
      if demand > free then reply[at], reply[at + 2] = 0, demand - free end
      at = at + 5
    end
    return reply
  end
end

-- The entry of a rule in a packed value between two ';', by id and never by position: text, id.
local function find_entry(value, id, name)
  local _, before = string.find(value, ';' .. id .. '=', 1, true)
  if not before then -- written as the only entry, joined by others since
    id = '#' .. string.sub(name, 5)
    _, before = string.find(value, ';' .. id .. '=', 1, true)
    if not before then return false, false end
  end
  return string.sub(value, before + 1, string.find(value, ';', before, true) - 1), id
end

-- Appends to `stored` the entries of a packed value that are not replaced and still mean something, known or not: old
-- and new configurations share the key during a rolling update. Returns it, how many were appended, and the last X.
local function append_others(stored, value, replaced, latest, now)
  local appended = 0
  for id, text in string.gmatch(value, '([^=;]+)=([^=;]+)') do
    local X = not replaced[id] and tonumber(string.match(text, '^%l?(%d+)'))
    if X and X >= now then
      stored = stored and stored .. ';' .. id .. '=' .. text or id .. '=' .. text
      appended = appended + 1
      latest = math.max(latest, X)
    end
  end
  return stored, appended, latest
end

-- A value with one entry, compact where that is a whole instant and the digits of its rule are known.
local function compacted(part)
  local digits, F = string.match(part, '^#(%d%d%d)=(%d+)$')
  return digits and F .. digits or part
end

-- A list as an algorithm reads it.
local function open_list(key)
  return {
    length = redis.call('LLEN', key),
    at = function(index) return tonumber(redis.call('LINDEX', key, index)) end,
  }
end

-- Keeps the elements first ... last of a list and appends `push` stamps of now.
local function store_list(key, length, now, first, last, push)
  if last < first then
    redis.call('DEL', key) -- LTRIM would read a last of -1 as the newest
  elseif first > 0 or last < length - 1 then
    redis.call('LTRIM', key, first, last)
  end
  local stamp = string.format('%d', now)
  while push > 0 do
    local chunk = {} -- unpack() is bounded by the C stack
    for i = 1, math.min(push, 1000) do chunk[i] = stamp end
    redis.call('RPUSH', key, unpack(chunk))
    push = push - #chunk
  end
end

-- Every argument is checked before anything is written. What is no number ends the script by Lua's own error.
local since, position = false, 3 -- since: the server has data since then; what is absent was empty at that instant
if ARGV[1] == 'cold' then
  since, position = ARGV[2] + 0, 5
  if not (since > 0 and since < 9007199254740992 and since % 1 == 0) then
    return redis.error_reply('ERR weir: invalid instant at argument 2')
  end
end
local op, k = ARGV[position - 2], 1
if op ~= 'take' and op ~= 'peek' and op ~= 'refund' and op ~= 'take_upto' and op ~= 'renew' then
  return redis.error_reply('ERR weir: unknown operation')
end
if ARGV[position - 1] ~= '1' then
  k = ARGV[position - 1] + 0
  if not (k > 1 and k <= 2147483648 and k % 1 == 0 and op == 'take') then
    return redis.error_reply('ERR weir: invalid number of requests')
  end
end
local bucket, built = false, false -- algorithms, made at their first use
local rules, count = { nil, nil, nil, nil }, 0
local blocks, ends = false, false -- penalties: records like those of rules; by rule, when its key is free again
local common = op == 'refund' and 5 or 4 -- arguments of a rule before its parameters
local renews = op == 'renew'
local elsewhere = false -- the clock lies in another calendar window than the caller believes
local all_allowed = true

-- Phase 1: reads and evaluates; nothing is written before the last evaluation.
repeat
  local letter, name, shadow, penalty = ARGV[position], ARGV[position + 2], false, false
  local algorithm
  if letter ~= 't' and letter and (string.byte(letter) < 97 or #letter > 1) then -- marked: a capital, or `!` behind it
    local bare, mark = string.match(letter, '^(%a)(!?)$')
    letter = bare and string.lower(bare) or ''
    shadow, penalty = bare and bare ~= letter, mark == '!'
    if bare and (k > 1 or letter == 's' or (op ~= 'take' and op ~= 'peek')) then
      return redis.error_reply('ERR weir: invalid mark at argument ' .. position)
    end
  end
  if letter == 't' then
    bucket = bucket or token_bucket()
    algorithm = bucket
  elseif letter then
    built = built or {}
    algorithm = built[letter] or rare_algorithm(letter)
    built[letter] = algorithm
  end
  if not algorithm then return redis.error_reply('ERR weir: unknown algorithm at argument ' .. position) end
  local key, n = KEYS[ARGV[position + 1] + 0], ARGV[position + 3] + 0
  local first = position + common + (penalty and 2 or 0)
  local p1, p2, p3, p4 = ARGV[first] + 0, ARGV[first + 1] + 0
  if letter == 't' then
    p3 = ARGV[first + 2] + 0
  elseif letter == 'k' then
    p3, p4 = ARGV[first + 2] + 0, ARGV[first + 3] + 0
  elseif letter == 's' then
    p3 = ARGV[first + 2] -- the holder
  end
  if not (key and #name == 7 and string.find(name, '^[%w_-]+$') and
      n >= 0 and n <= 2147483648 and n % 1 == 0 and algorithm[VALID](p1, p2, p3, p4) and
      (not renews or letter == 's')) then
    return redis.error_reply('ERR weir: invalid rule at argument ' .. position)
  end
  if p4 then
    elsewhere = elsewhere or now < p2 or now >= p4
    if now < p3 then p2, p3 = p3, p2 else p2, p3 = p4, p3 end -- end and start of the window
  end
  local age
  if common == 5 then -- a window that has closed since the charge stays as it is
    local charged_at = ARGV[position + 4] + 0
    if charged_at < 0 then -- aged
      charged_at = -charged_at
      if letter == 't' then age = math.max(0, now - charged_at) end
    end
    if not (charged_at >= 0 and charged_at < 9007199254740992 and charged_at % 1 == 0) then
      return redis.error_reply('ERR weir: invalid instant at argument ' .. position + 4)
    end
    if charged_at > 0 and algorithm[BEGAN] and charged_at < algorithm[BEGAN](now, p2, p3) then n = 0 end
  end

  local state, stored_as, id, value, own_key = false, false, string.sub(name, 1, 4), nil, algorithm[OWN_KEY]
  if own_key == 'l' then
    state = open_list(key)
  elseif own_key then
    state = { key = key }
  else
    for i = 1, count do -- rules of one subject share its value
      if rules[i][KEY] == key then
        value = rules[i][VALUE]
        break
      end
    end
    if value == nil then
      value = fetched
      if value == nil then value = redis.call('GET', key) end
      if value and string.find(value, '=', 1, true) then value = ';' .. value .. ';' end
    end
    if value and string.byte(value) == 59 then -- packed
      state, stored_as = find_entry(value, id, name)
    elseif value then -- compact: F ddd
      local ddd = string.sub(name, 5)
      if string.sub(value, -3) == ddd then state, stored_as = string.sub(value, 1, -4), '#' .. ddd end
    end
  end
  if since and not state and not (letter == 'k' and since < p3) then -- used up at that instant
    state = select(2, algorithm[WRITE](letter == 't' and p3 or p1, since, p1, p2, letter == 'k' and p2 or 0))
  elseif since and own_key == 'l' and state.length == 0 then
    state = { length = p1, at = function() return since end }
  end
  local allowed, retry, granted, used, after, beyond, carried = algorithm[EVALUATE](op, now, state, n, p1, p2, p3, nil, age)
  if penalty then
    built = built or {}
    penalty = built['!'] or rare_algorithm('!')
    built['!'] = penalty
    local at, length = KEYS[ARGV[first - 2] + 0], ARGV[first - 1] + 0
    if not (at and penalty[VALID](length)) then
      return redis.error_reply('ERR weir: invalid penalty at argument ' .. first - 2)
    end
    local whole = value
    if at ~= key then
      whole = redis.call('GET', at)
      if whole and string.find(whole, '=', 1, true) then whole = ';' .. whole .. ';' end
    end
    local own, text, known = id .. '!', false, false
    if whole and string.byte(whole) == 59 then text, known = find_entry(whole, own, '') end
    local till, read, store
    allowed, retry, after, till, read, store = penalty[EVALUATE](text, now, length, n, allowed, retry, used, after)
    blocks, ends = blocks or {}, ends or {}
    ends[count + 1] = op == 'take' and till or read
    if store and op == 'take' then
      blocks[#blocks + 1] = { penalty, at, name, n, length, nil, nil, nil, nil, nil, till, nil, nil, nil, text, known, own,
        whole, true }
    end
  end
  all_allowed = all_allowed and (allowed or shadow)
  count = count + 1
  rules[count] = { algorithm, key, name, n, p1, p2, p3, allowed, retry, granted, used, after, beyond, carried,
    state, stored_as, id, value, false }
  position = first + algorithm[ARGUMENTS]
until not ARGV[position]
if elsewhere then return redis.error_reply(string.format('WINDOW %d', now)) end

-- Of k equal requests the first that every rule allows; the next one's denial is what the rules then say.
local admitted = all_allowed and 1 or 0
if k > 1 and all_allowed then
  admitted = k
  for i = 1, count do
    local rule = rules[i]
    local n = rule[N]
    if n > 0 and rule[ALGORITHM][OWN_KEY] ~= 'c' then -- requests of one holder share a slot
      local remaining = rule[ALGORITHM][REPORT](rule[USED], now, rule[STATE], rule[P1], rule[P2], rule[P3], rule[CARRIED])
      admitted = math.min(admitted, (remaining - remaining % n) / n)
    end
  end
  for i = 1, count do
    local rule = rules[i]
    if rule[ALGORITHM][OWN_KEY] ~= 'c' then
      local change = (rule[AFTER] - rule[USED]) * admitted
      rule[AFTER] = rule[USED] + change
      if admitted < k then
        rule[ALLOWED], rule[RETRY] =
          rule[ALGORITHM][EVALUATE](op, now, rule[STATE], rule[N], rule[P1], rule[P2], rule[P3], change)
      end
    end
  end
end

-- Phase 2: all or none, but for what only gives back or renews; what lies beyond the clock is repaired in any case.
-- Instants become TTLs rounded up: else up to a millisecond of usage vanishes.
local commit = op ~= 'peek' and (admitted > 0 or op == 'refund' or op == 'renew')
for i = 1, count do
  local rule = rules[i]
  local change = commit and rule[AFTER] - rule[USED] or 0
  rule[USED] = rule[USED] + change
  local write = change ~= 0 or (rule[BEYOND] and op ~= 'peek')
  local own_key = rule[ALGORITHM][OWN_KEY]
  if not own_key then
    rule[CHANGED] = write
  elseif own_key == 'c' then
    local holds = commit and rule[CARRIED]
    if write or holds then rule[ALGORITHM][WRITE](holds, now, rule[STATE], rule[P3], rule[P2], rule[BEYOND]) end
  elseif write then
    local list, key = rule[STATE], rule[KEY]
    local first, last, push, X = rule[ALGORITHM][WRITE](change, now, list, rule[P2])
    store_list(key, list.length, now, first, last, push)
    if X then redis.call('PEXPIREAT', key, (X - X % 1000) / 1000 + 1) end
  end
end
local written = count -- rules, and behind them the blocks that begin or are repaired
if blocks then
  for i = 1, #blocks do rules[count + i] = blocks[i] end
  written = count + #blocks
end
for i = 1, written do
  local rule = rules[i]
  if rule[CHANGED] == true then -- the first of its subject; the others go with it
    local key, value = rule[KEY], rule[VALUE]
    local packed = value and string.byte(value) == 59
    local stored, X, entries, whole = false, 0, 0, false -- whole: the last value as the only one, if it may be compact
    local known = packed and 1 or 0 -- characters of the value that belong to entries written here
    for j = i, written do
      local other = rules[j]
      if other[CHANGED] == true and other[KEY] == key then
        other[CHANGED] = key
        local stored_as, id = other[STORED_AS], other[ID]
        if stored_as == id then
          known = known + 2 + #id + #other[STATE]
        elseif stored_as and not packed then
          known = #value
        end
        local at, text, is_whole = other[ALGORITHM][WRITE](other[USED], now, other[P1], other[P2], other[CARRIED])
        if at then
          whole = is_whole and text .. string.sub(other[NAME], 5)
          stored = stored and stored .. ';' .. id .. '=' .. text or id .. '=' .. text
          entries = entries + 1
          if at > X then X = at end
        end
      end
    end
    if value and known ~= #value then
      local replaced = {}
      for j = i, written do
        local other = rules[j]
        if other[CHANGED] == key then replaced[other[ID]], replaced[other[STORED_AS] or other[ID]] = true, true end
      end
      if not packed then value = '#' .. string.sub(value, -3) .. '=' .. string.sub(value, 1, -4) end
      local appended
      stored, appended, X = append_others(stored, value, replaced, X, now)
      entries, whole = entries + appended, appended == 0 and whole
    end
    if entries == 1 then stored = whole or compacted(stored) end
    if stored then
      redis.call('SET', key, stored, 'PXAT', string.format('%d', X / 1000 + 1)) -- cut to an integer
    elseif value then
      redis.call('DEL', key)
    end
  end
end

local reply = { now, admitted, 0, 0, 0, 0, 0 }
if count > 1 then -- room for four rules
  reply = { now, admitted, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil,
    nil }
end
for i = 1, count do
  local rule = rules[i]
  local at = i * 5 - 2
  reply[at] = rule[ALLOWED] and 1 + (commit and rule[GRANTED] or 0) or 0
  reply[at + 2] = rule[RETRY]
  reply[at + 1], reply[at + 3], reply[at + 4] =
    rule[ALGORITHM][REPORT](rule[USED], now, rule[STATE], rule[P1], rule[P2], rule[P3], rule[CARRIED])
  if ends and ends[i] and ends[i] > now then -- blocked
    reply[at + 1], reply[at + 3] = 0, math.max(reply[at + 3], ends[i] - now)
  end
end
return reply
