-- SPDX-License-Identifier: Apache-2.0
-- Driver: reads and evaluates every rule, then commits all or none. Contract: README.md. What runs for every decision
-- creates few closures and tables: they are most of a script's time.
local builders = { t = token_bucket, l = sliding_window_log } -- a new algorithm gets an entry here
local built = {} -- algorithms by letter, on first use
local MOST_UNITS = 2147483648 -- 2^31
local call, find, sub, format = redis.call, string.find, string.sub, string.format

-- Every argument, before anything is read.
local op = ARGV[1]
if op ~= 'take' and op ~= 'peek' and op ~= 'refund' and op ~= 'take_upto' then
  return redis.error_reply('ERR weir: unknown operation')
end
local rules, position = {}, 2
repeat
  local letter, name = ARGV[position], ARGV[position + 2]
  local algorithm = built[letter]
  if not algorithm and builders[letter] then
    algorithm = builders[letter]()
    built[letter] = algorithm
  end
  local key, n = KEYS[tonumber(ARGV[position + 1])], tonumber(ARGV[position + 3])
  local p1, p2, p3 = tonumber(ARGV[position + 4]), tonumber(ARGV[position + 5]), tonumber(ARGV[position + 6])
  if not (algorithm and key and #name == 7 and not find(name, '[^%w_-]') and n and n >= 0 and n <= MOST_UNITS and
      n % 1 == 0 and algorithm.valid(p1, p2, p3)) then
    return redis.error_reply('ERR weir: invalid rule at argument ' .. position)
  end
  rules[#rules + 1] = {
    algorithm = algorithm, key = key, id = sub(name, 1, 4), ddd = sub(name, 5), n = n, p1 = p1, p2 = p2, p3 = p3,
    allowed = true, retry = 0, granted = 0, -- the verdict of this rule alone
    used = 0, after = 0, beyond = false, -- before and after a commit; `beyond` must be repaired
    stored_as = false, -- id of the rule's entry in the subject's value
    changed = false,
  }
  position = position + 4 + algorithm.arguments
until not ARGV[position]

-- The entry of a rule in a subject's value, found by id, never by position: text, id.
local function find_entry(value, rule)
  if not find(value, '=', 1, true) then -- compact: F ddd
    if sub(value, -3) == rule.ddd then return sub(value, 1, -4), '#' .. rule.ddd end
    return nil, false
  end
  value = ';' .. value .. ';'
  local id = rule.id
  local _, before = find(value, ';' .. id .. '=', 1, true)
  if not before then -- written as the only entry, joined by others since
    id = '#' .. rule.ddd
    _, before = find(value, ';' .. id .. '=', 1, true)
  end
  if not before then return nil, false end
  return sub(value, before + 1, find(value, ';', before, true) - 1), id
end

-- Phase 1: nothing is written before the last evaluation.
local values = {} -- of subjects, by key
local all_allowed = true
for i = 1, #rules do
  local rule = rules[i]
  local key = rule.key
  local state
  if rule.algorithm.own_key then
    state = {
      length = call('LLEN', key),
      at = function(index) return tonumber(call('LINDEX', key, index)) end,
    }
    rule.list = state
  else
    local value = values[key]
    if value == nil then
      value = call('GET', key)
      values[key] = value
    end
    if value then state, rule.stored_as = find_entry(value, rule) end
  end
  rule.algorithm.evaluate(rule, state, op, now)
  all_allowed = all_allowed and rule.allowed
end

-- Phase 2: all or none; what lies beyond the clock is repaired in any case.

-- A TTL for X, rounded up: else up to a millisecond of usage vanishes.
local function to_ms(X)
  return format('%.0f', (X - X % 1000) / 1000 + 1)
end

-- Adds to `parts` the entries of a packed value that are not replaced and still mean something, known or not: old and
-- new configurations share the key during a rolling update. Returns the last X.
local function copy_others(value, replaced, parts, latest)
  for id, text in string.gmatch(value, '([^=;]+)=([^=;]+)') do
    local X = tonumber(string.match(text, '^%l?(%d+)'))
    if X and X >= now and not replaced[id] then
      parts[#parts + 1] = id .. '=' .. text
      if X > latest then latest = X end
    end
  end
  return latest
end

-- Writes the value of a subject with new entries for all its changed rules.
local function store_value(key)
  local value = values[key]
  if value and not find(value, '=', 1, true) then value = '#' .. sub(value, -3) .. '=' .. sub(value, 1, -4) end
  local parts, replaced, latest, compact = {}, {}, 0, nil
  for i = 1, #rules do
    local rule = rules[i]
    if rule.key == key and rule.changed then
      rule.changed = false
      replaced[rule.id] = true
      if rule.stored_as then replaced[rule.stored_as] = true end
      local text, X, whole = rule.algorithm.encode(rule, rule.used, now)
      if text then
        parts[#parts + 1] = rule.id .. '=' .. text
        if X > latest then latest = X end
        compact = whole and text .. rule.ddd
      end
    end
  end
  if value then latest = copy_others(value, replaced, parts, latest) end
  if #parts > 1 then
    compact = false
  elseif #parts == 1 and not compact then
    local ddd, F = string.match(parts[1], '^#(%d%d%d)=(%d+)$')
    compact = ddd and F .. ddd
  end
  if #parts > 0 then
    call('SET', key, compact or table.concat(parts, ';'), 'PXAT', to_ms(latest))
  elseif value then
    call('DEL', key)
  end
end

-- The same where the rule's entry is all there is, as for most subjects.
local function store_only_entry(rule)
  local text, X, whole = rule.algorithm.encode(rule, rule.used, now)
  if text then
    call('SET', rule.key, whole and text .. rule.ddd or rule.id .. '=' .. text, 'PXAT', to_ms(X))
  elseif rule.stored_as then
    call('DEL', rule.key)
  end
end

local function store_list(rule, used)
  local list, key = rule.list, rule.key
  local first, last, push, X = rule.algorithm.rewrite(rule, list, used, now)
  if last < first then
    call('DEL', key) -- LTRIM would read a last of -1 as the newest
  elseif first > 0 or last < list.length - 1 then
    call('LTRIM', key, first, last)
  end
  local stamp = format('%.0f', now)
  while push > 0 do
    local chunk = {} -- unpack() is bounded by the C stack
    for i = 1, math.min(push, 1000) do chunk[i] = stamp end
    call('RPUSH', key, unpack(chunk))
    push = push - #chunk
  end
  if X then call('PEXPIREAT', key, to_ms(X)) end
end

local commit = all_allowed and op ~= 'peek'
for i = 1, #rules do
  local rule = rules[i]
  local used = commit and rule.after or rule.used
  if used ~= rule.used or (rule.beyond and op ~= 'peek') then
    if rule.algorithm.own_key then
      store_list(rule, used)
    else
      rule.changed = true
    end
  end
  rule.used = used
end
for i = 1, #rules do
  local rule = rules[i]
  if rule.changed then
    local value = values[rule.key]
    if #rules == 1 and (not value or (rule.stored_as and not find(value, '=', 1, true))) then
      store_only_entry(rule)
    else
      store_value(rule.key)
    end
  end
end

local reply = { now, all_allowed and 1 or 0, 0, 0, 0, 0, 0 }
for i = 1, #rules do
  local rule = rules[i]
  local at = i * 5 - 2
  reply[at] = rule.allowed and 1 + (commit and rule.granted or 0) or 0
  reply[at + 2] = rule.retry
  reply[at + 1], reply[at + 3], reply[at + 4] = rule.algorithm.report(rule, rule.used, now)
end
return reply
