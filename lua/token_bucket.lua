-- SPDX-License-Identifier: Apache-2.0
-- Token bucket as exact-rational GCRA. State is one instant, "when the bucket is full": F whole microseconds and the
-- fraction f/r0 of one. r credits flow in per microsecond, a token costs q, the bucket holds cap. All numbers are
-- integers below 2^53, exact in Lua's doubles. Twin of limiter/algorithms/token_bucket.cpp.
local token_bucket = { own_key = false, arguments = 3 } -- r q cap
do
  local EXACT = 9007199254740992 -- 2^53
  local floor, match, format = math.floor, string.match, string.format

  local function ceil_div(a, b)
    return -floor(-a / b)
  end

  function token_bucket.valid(r, q, cap)
    return q >= 1 and cap >= q and cap % q == 0 and cap / r < EXACT / 2
  end

  -- "F" or "F:f:r0" -> F f r0; nothing when the text is neither.
  local function parse(text)
    local F, f, r0 = match(text, '^(%d+)$'), 0, 1
    if not F then
      F, f, r0 = match(text, '^(%d+):(%d+):(%d+)$')
      if not F then return end
      f, r0 = tonumber(f), tonumber(r0)
      if f >= r0 then return end
    end
    return tonumber(F), f, r0
  end

  -- A fraction written under another rate, in units of this one. May reach r, a full microsecond.
  local function rescale(f, r0, r)
    local product = f * r
    if product >= EXACT then return r - 1 end
    return ceil_div(product, r0)
  end

  -- Stored text -> used credits (0 ... cap), and whether it claims more than the bucket holds: the clock went back or
  -- the capacity shrank.
  local function read(text, now, r, cap)
    local F, f, r0
    if text then F, f, r0 = parse(text) end
    if not F or F < now then return 0, false end
    if f > 0 and r0 ~= r then
      f = rescale(f, r0, r)
      if f == r then F, f = F + 1, 0 end
    end
    local ahead = F - now
    -- Compared before multiplying: the product of an instant far ahead would not be exact.
    if ahead > floor(cap / r) or f > cap - ahead * r then return cap, true end
    return ahead * r + f, false
  end

  function token_bucket.evaluate(rule, text, op, now)
    local n, r, q, cap = rule.n, rule[1], rule[2], rule[3]
    local used, beyond = read(text, now, r, cap)
    local free = cap - used
    local demand = n * q -- beyond 2^53 it is only compared, and too large either way
    local allowed, after, retry, granted = true, used, 0, 0
    if op == 'refund' then
      after = demand < used and used - demand or 0
    elseif op == 'take_upto' then
      granted = math.min(n, floor(free / q))
      after = used + granted * q
      if granted == 0 and n > 0 then allowed, retry = false, ceil_div(q - free, r) end
    elseif n == 0 or demand <= free then
      after = used + demand
    else
      allowed, retry = false, demand > cap and -1 or ceil_div(demand - free, r)
    end
    rule.allowed, rule.retry, rule.granted = allowed, retry, granted
    rule.used, rule.after, rule.beyond = used, after, beyond
  end

  -- used credits -> text, X; nothing for a full bucket
  function token_bucket.encode(rule, used, now)
    if used == 0 then return end
    local r = rule[1]
    local F, f = now + floor(used / r), used % r
    if f == 0 then return format('%.0f', F), F end
    return format('%.0f:%.0f:%.0f', F, f, r), F
  end

  -- used credits -> remaining, reset, D
  function token_bucket.report(rule, used)
    return floor((rule[3] - used) / rule[2]), ceil_div(used, rule[1]), used
  end
end
