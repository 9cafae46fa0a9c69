-- SPDX-License-Identifier: Apache-2.0
-- Driver: reads and evaluates every rule, then commits all or none. Contract: README.md.
-- Redis runs this chunk anew for every call, and a local that a function captures costs it as much as twenty lines of
-- plain code. So functions here capture nothing, and records are arrays, which cost half of what named fields do:
local ARGUMENTS, VALID, EVALUATE, REPORT, WRITE, OWN_KEY, BEGAN = 1, 2, 3, 4, 5, 6, 7 -- of an algorithm;
local ALGORITHM, KEY, NAME, N, P1, P2, P3 = 1, 2, 3, 4, 5, 6, 7 -- of a rule: what is asked;
local ALLOWED, RETRY, GRANTED, USED, AFTER, BEYOND = 8, 9, 10, 11, 12, 13 -- verdict alone, state, state to be;
local STATE, STORED_AS, CHANGED, CARRIED = 14, 15, 16, 17 -- stored text, list or set, id of the stored entry, to be
-- stored anew, what else the algorithm has read

-- The entry of a rule in a packed value, by id and never by position: text, id.
local function find_entry(value, name)
  value = ';' .. value .. ';'
  local id = string.sub(name, 1, 4)
  local _, before = string.find(value, ';' .. id .. '=', 1, true)
  if not before then -- written as the only entry, joined by others since
    id = '#' .. string.sub(name, 5)
    _, before = string.find(value, ';' .. id .. '=', 1, true)
  end
  if not before then return false, false end
  return string.sub(value, before + 1, string.find(value, ';', before, true) - 1), id
end

-- Adds the entries of a packed value that are not replaced and still mean something, known or not: old and new
-- configurations share the key during a rolling update. Returns the last X.
local function copy_others(value, replaced, parts, latest, now)
  for id, text in string.gmatch(value, '([^=;]+)=([^=;]+)') do
    local X = not replaced[id] and tonumber(string.match(text, '^%l?(%d+)'))
    if X and X >= now then
      parts[#parts + 1] = id .. '=' .. text
      latest = math.max(latest, X)
    end
  end
  return latest
end

-- A value with one entry: compact where that is a whole instant and the digits of its rule are known.
local function compacted(part, digits)
  local id, F = string.match(part, '^(.+)=(%d+)$')
  digits = digits or id and string.match(id, '^#(%d%d%d)$')
  return F and digits and F .. digits or part
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
  local stamp = string.format('%.0f', now)
  while push > 0 do
    local chunk = {} -- unpack() is bounded by the C stack
    for i = 1, math.min(push, 1000) do chunk[i] = stamp end
    redis.call('RPUSH', key, unpack(chunk))
    push = push - #chunk
  end
end

-- Every argument, before anything is read.
local op, k = ARGV[1], 1
if op ~= 'take' and op ~= 'peek' and op ~= 'refund' and op ~= 'take_upto' and op ~= 'renew' then
  return redis.error_reply('ERR weir: unknown operation')
end
if ARGV[2] ~= '1' then
  k = tonumber(ARGV[2])
  if not (k and k > 1 and k <= 2147483648 and k % 1 == 0 and op == 'take') then
    return redis.error_reply('ERR weir: invalid number of requests')
  end
end
local bucket, built = false, false -- algorithms, made at their first use
local rules, count, position = {}, 0, 3
local common = op == 'refund' and 5 or 4 -- arguments of a rule before its parameters
local renews = op == 'renew'
local elsewhere = false -- the clock lies in another calendar window than the caller believes
repeat
  local letter, name = ARGV[position], ARGV[position + 2]
  local algorithm
  if letter == 't' then
    bucket = bucket or token_bucket()
    algorithm = bucket
  elseif letter then
    built = built or {}
    algorithm = built[letter] or rare_algorithm(letter)
    built[letter] = algorithm
  end
  local key, n = KEYS[tonumber(ARGV[position + 1])], tonumber(ARGV[position + 3])
  local first = position + common
  local p1, p2, p3, p4 = tonumber(ARGV[first]), tonumber(ARGV[first + 1]), tonumber(ARGV[first + 2]), nil
  if letter ~= 't' then
    if letter == 'k' then p4 = tonumber(ARGV[first + 3]) end
    if letter == 's' then p3 = ARGV[first + 2] end -- the holder
  end
  if not (algorithm and key and #name == 7 and not string.find(name, '[^%w_-]') and
      n and n >= 0 and n <= 2147483648 and n % 1 == 0 and algorithm[VALID](p1, p2, p3, p4) and
      (not renews or letter == 's')) then
    return redis.error_reply('ERR weir: invalid rule at argument ' .. position)
  end
  if p4 then
    elsewhere = elsewhere or now < p2 or now >= p4
    if now < p3 then p2, p3 = p3, p2 else p2, p3 = p4, p3 end -- end and start of the window
  end
  if common == 5 then -- a window that has closed since the charge stays as it is
    local charged_at = tonumber(ARGV[position + 4])
    if not (charged_at and charged_at >= 0 and charged_at < 9007199254740992 and charged_at % 1 == 0) then
      return redis.error_reply('ERR weir: invalid instant at argument ' .. position + 4)
    end
    if charged_at > 0 and algorithm[BEGAN] and charged_at < algorithm[BEGAN](now, p2, p3) then n = 0 end
  end
  count = count + 1
  rules[count] = { algorithm, key, name, n, p1, p2, p3, true, 0, 0, 0, 0, false, false, false, false, false }
  position = first + algorithm[ARGUMENTS]
until not ARGV[position]
if elsewhere then return redis.error_reply(string.format('WINDOW %.0f', now)) end

-- Phase 1: nothing is written before the last evaluation.
local values = {} -- of subjects, by key
local all_allowed = true
for i = 1, count do
  local rule = rules[i]
  local algorithm, key = rule[ALGORITHM], rule[KEY]
  local state, own_key = false, algorithm[OWN_KEY]
  if own_key == 'l' then
    state = open_list(key)
  elseif own_key then
    state = { key = key }
  else
    local value = values[key]
    if value == nil then
      value = redis.call('GET', key)
      values[key] = value
    end
    if value and string.find(value, '=', 1, true) then
      state, rule[STORED_AS] = find_entry(value, rule[NAME])
    elseif value then -- compact: F ddd
      local ddd = string.sub(rule[NAME], 5)
      if string.sub(value, -3) == ddd then state, rule[STORED_AS] = string.sub(value, 1, -4), '#' .. ddd end
    end
  end
  rule[STATE] = state
  rule[ALLOWED], rule[RETRY], rule[GRANTED], rule[USED], rule[AFTER], rule[BEYOND], rule[CARRIED] =
    algorithm[EVALUATE](op, now, state, rule[N], rule[P1], rule[P2], rule[P3])
  all_allowed = all_allowed and rule[ALLOWED]
end

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
for i = 1, count do
  local rule = rules[i]
  if rule[CHANGED] then
    local key = rule[KEY]
    local value = values[key]
    local stored, X
    if count == 1 and (not value or (rule[STORED_AS] and not string.find(value, '=', 1, true))) then
      local text
      X, text = rule[ALGORITHM][WRITE](rule[USED], now, rule[P1], rule[P2], rule[CARRIED])
      if text then
        stored = string.sub(rule[NAME], 1, 4) .. '=' .. text
      elseif X then -- compact: the only entry, a whole instant
        stored = string.format('%.0f%s', X, string.sub(rule[NAME], 5))
      end
    else
      local parts, replaced, digits = {}, {}, nil
      local length = -1 -- of the entries replaced, joined: if it is the whole value, there is nothing to copy
      X = 0
      for j = i, count do
        local other = rules[j]
        if other[CHANGED] and other[KEY] == key then
          other[CHANGED] = false
          local id, stored_as = string.sub(other[NAME], 1, 4), other[STORED_AS]
          if stored_as and not replaced[stored_as] then length = length + #stored_as + #other[STATE] + 2 end
          replaced[id], replaced[stored_as or id] = true, true
          local at, text = other[ALGORITHM][WRITE](other[USED], now, other[P1], other[P2], other[CARRIED])
          if at then
            parts[#parts + 1] = text and id .. '=' .. text or string.format('%s=%.0f', id, at)
            X = math.max(X, at)
            digits = not text and string.sub(other[NAME], 5)
          end
        end
      end
      if value and not string.find(value, '=', 1, true) then
        value = '#' .. string.sub(value, -3) .. '=' .. string.sub(value, 1, -4)
      end
      if value and length ~= #value then X = copy_others(value, replaced, parts, X, now) end
      stored = #parts > 1 and table.concat(parts, ';') or parts[1] and compacted(parts[1], digits)
    end
    if stored then
      redis.call('SET', key, stored, 'PXAT', (X - X % 1000) / 1000 + 1)
    elseif value then
      redis.call('DEL', key)
    end
  end
end

local reply = { now, admitted, 0, 0, 0, 0, 0 }
for i = 1, count do
  local rule = rules[i]
  local at = i * 5 - 2
  reply[at] = rule[ALLOWED] and 1 + (commit and rule[GRANTED] or 0) or 0
  reply[at + 2] = rule[RETRY]
  reply[at + 1], reply[at + 3], reply[at + 4] =
    rule[ALGORITHM][REPORT](rule[USED], now, rule[STATE], rule[P1], rule[P2], rule[P3], rule[CARRIED])
end
return reply
