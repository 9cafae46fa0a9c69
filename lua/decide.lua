-- SPDX-License-Identifier: Apache-2.0
-- Driver: reads and evaluates every rule, then commits all or none. Contract: README.md.
local algorithms = { t = token_bucket, l = sliding_window_log } -- a new algorithm gets an entry here
local EXACT = 9007199254740992 -- 2^53
local MOST_UNITS = 2147483648 -- 2^31
local call = redis.call
local find, sub, format = string.find, string.sub, string.format

local function integer(text, least, most)
  local value = tonumber(text)
  if value and value >= least and value <= most and value % 1 == 0 then return value end
end

-- ARGV from position i -> rule, position after it; nothing when an argument is invalid.
local function parse_rule(i)
  local algorithm = algorithms[ARGV[i]]
  local key = integer(ARGV[i + 1], 1, #KEYS)
  local name = ARGV[i + 2]
  local n = integer(ARGV[i + 3], 0, MOST_UNITS)
  if not (algorithm and key and n and #name == 7 and not find(name, '[^%w_-]')) then return end
  local rule = { algorithm = algorithm, key = key, rid = sub(name, 1, 4), ddd = sub(name, 5), n = n }
  for j = 1, algorithm.arguments do
    rule[j] = integer(ARGV[i + 3 + j], 1, EXACT - 1)
    if not rule[j] then return end
  end
  if algorithm.valid(rule[1], rule[2], rule[3]) then return rule, i + 4 + algorithm.arguments end
end

-- The entry of a rule in a subject's value: text, and the id it is stored under. Found by id, never by position.
local function find_entry(value, rule)
  if not find(value, '=', 1, true) then -- compact: F ddd
    if sub(value, -3) == rule.ddd then return sub(value, 1, -4), '#' .. rule.ddd end
    return
  end
  value = ';' .. value .. ';'
  for _, id in ipairs({ rule.rid, '#' .. rule.ddd }) do
    local _, before = find(value, ';' .. id .. '=', 1, true)
    if before then return sub(value, before + 1, find(value, ';', before, true) - 1), id end
  end
end

local function open_list(key)
  return {
    length = call('LLEN', key),
    at = function(i) return tonumber(call('LINDEX', key, i)) end,
  }
end

-- Writes a subject's value: the new entries of `changed` rules, and every other entry that still means something,
-- known or not (old and new configurations share the key during a rolling update).
local function store_value(key, value, changed)
  local parts, latest, replaced = {}, 0, {}
  local digits -- of the last entry, when it has a compact form
  local function keep(id, text, X, ddd)
    parts[#parts + 1] = id .. '=' .. text
    latest = math.max(latest, X)
    digits = ddd and not find(text, '%D') and text .. ddd
  end
  for _, rule in ipairs(changed) do
    replaced[rule.rid] = true
    if rule.stored_as then replaced[rule.stored_as] = true end
  end
  if value then
    if not find(value, '=', 1, true) then value = '#' .. sub(value, -3) .. '=' .. sub(value, 1, -4) end
    for id, text in string.gmatch(value, '([^=;]+)=([^=;]+)') do
      local X = tonumber(string.match(text, '^%l?(%d+)'))
      if X and X >= now and not replaced[id] then keep(id, text, X, string.match(id, '^#(%d%d%d)$')) end
    end
  end
  for _, rule in ipairs(changed) do
    local text, X = rule.algorithm.encode(rule, rule.used, now)
    if text then keep(rule.rid, text, X, rule.ddd) end
  end
  if #parts == 0 then
    if value then call('DEL', key) end
    return
  end
  local stored = #parts == 1 and digits or table.concat(parts, ';')
  call('SET', key, stored, 'PXAT', format('%.0f', math.floor(latest / 1000) + 1)) -- rounded up, else usage vanishes
end

-- Commits or repairs a list.
local function store_list(key, rule, used)
  local first, last, push, X = rule.algorithm.rewrite(rule, used, now)
  if last < first then
    call('DEL', key) -- LTRIM would read a last of -1 as the newest
  elseif first > 0 or last < rule.list.length - 1 then
    call('LTRIM', key, first, last)
  end
  local stamp = format('%.0f', now)
  while push > 0 do
    local chunk = {} -- unpack() is bounded by the C stack
    for i = 1, math.min(push, 1000) do chunk[i] = stamp end
    call('RPUSH', key, unpack(chunk))
    push = push - #chunk
  end
  if X then call('PEXPIREAT', key, format('%.0f', math.floor(X / 1000) + 1)) end
end

-- Every argument, before anything is read.
local op = ARGV[1]
if op ~= 'take' and op ~= 'peek' and op ~= 'refund' and op ~= 'take_upto' then
  return redis.error_reply('ERR weir: unknown operation')
end
local rules = {}
local position = 2
while ARGV[position] do
  local rule, after = parse_rule(position)
  if not rule then return redis.error_reply('ERR weir: invalid rule at argument ' .. position) end
  rules[#rules + 1] = rule
  position = after
end
if #rules == 0 then return redis.error_reply('ERR weir: no rule') end

-- Phase 1: nothing is written before the last evaluation.
local values = {}
local all_allowed = true
for _, rule in ipairs(rules) do
  local key = KEYS[rule.key]
  local state
  if rule.algorithm.own_key then
    state = open_list(key)
  else
    if values[key] == nil then values[key] = call('GET', key) end
    if values[key] then state, rule.stored_as = find_entry(values[key], rule) end
  end
  rule.algorithm.evaluate(rule, state, op, now)
  all_allowed = all_allowed and rule.allowed
end

-- Phase 2: all or none, and repairs in any case.
local commit = all_allowed and op ~= 'peek'
local changed = {}
for _, rule in ipairs(rules) do
  local used = commit and rule.after or rule.used
  local write = used ~= rule.used or (rule.beyond and op ~= 'peek')
  local key = KEYS[rule.key]
  if write and rule.algorithm.own_key then
    store_list(key, rule, used)
  elseif write then
    changed[key] = changed[key] or {}
    table.insert(changed[key], rule)
  end
  rule.used = used
end
for key, written in pairs(changed) do
  store_value(key, values[key], written)
end

local reply = { now, all_allowed and 1 or 0 }
for _, rule in ipairs(rules) do
  local remaining, reset, used = rule.algorithm.report(rule, rule.used, now)
  local allowed = rule.allowed and 1 + (commit and rule.granted or 0) or 0
  local i = #reply
  reply[i + 1], reply[i + 2], reply[i + 3], reply[i + 4], reply[i + 5] = allowed, remaining, rule.retry, reset, used
end
return reply
