-- SPDX-License-Identifier: Apache-2.0
-- Token bucket as exact-rational GCRA. State is one instant, "when the bucket is full": F whole microseconds and the
-- fraction f/r0 of one. r credits flow in per microsecond, a token costs q, the bucket holds cap. All numbers are
-- integers below 2^53, exact in Lua's doubles; (a - a % b) / b is their integer quotient, without a call. Twin of
-- limiter/algorithms/token_bucket.cpp.
local function token_bucket()
  local EXACT = 9007199254740992 -- 2^53
  local match, format = string.match, string.format

  local function ceil_div(a, b)
    local rest = a % b
    return (a - rest) / b + (rest > 0 and 1 or 0)
  end

  -- Stored text "F" or "F:f:r0" -> used credits (0 ... cap), and whether it claims more than the bucket holds: the
  -- clock went back or the capacity shrank. Text of another form counts as none.
  local function read(text, now, r, cap)
    local F, f, r0 = match(text, '^(%d+):?(%d*):?(%d*)$')
    F, f, r0 = tonumber(F), tonumber(f) or 0, tonumber(r0) or 1
    if not F or F < now or f >= r0 then return 0, false end
    if f > 0 and r0 ~= r then -- written under another rate: the same instant in units of this one, rounded up
      local product = f * r
      f = product < EXACT and ceil_div(product, r0) or r - 1
      if f == r then F, f = F + 1, 0 end
    end
    local ahead = F - now
    -- Compared before multiplying: the product of an instant far ahead would not be exact.
    if ahead > (cap - cap % r) / r or f > cap - ahead * r then return cap, true end
    return ahead * r + f, false
  end

  local function valid(r, q, cap)
    return r and q and cap and r >= 1 and r < EXACT and r % 1 == 0 and q >= 1 and q % 1 == 0 and
      cap >= q and cap < EXACT and cap % q == 0 and cap / r < EXACT / 2
  end

  local function evaluate(rule, text, op, now)
    local n, r, q, cap = rule.n, rule.p1, rule.p2, rule.p3
    local used, beyond = 0, false
    if text then used, beyond = read(text, now, r, cap) end
    local free = cap - used
    local demand = n * q -- from 2^53 on it is only compared, and too large either way
    local after = used
    if op == 'refund' then
      after = demand < used and used - demand or 0
    elseif op == 'take_upto' then
      rule.granted = math.min(n, (free - free % q) / q)
      after = used + rule.granted * q
      if after == used and n > 0 then rule.allowed, rule.retry = false, ceil_div(q - free, r) end
    elseif n == 0 or demand <= free then
      after = used + demand
    else
      rule.allowed, rule.retry = false, demand > cap and -1 or ceil_div(demand - free, r)
    end
    rule.used, rule.after, rule.beyond = used, after, beyond
  end

  -- used credits -> text, X, whether the text is F alone; nothing for a full bucket
  local function encode(rule, used, now)
    if used == 0 then return end
    local r = rule.p1
    local f = used % r
    local F = now + (used - f) / r
    if f == 0 then return format('%.0f', F), F, true end
    return format('%.0f:%.0f:%.0f', F, f, r), F, false
  end

  -- used credits -> remaining, reset, D
  local function report(rule, used)
    local free, q = rule.p3 - used, rule.p2
    return (free - free % q) / q, ceil_div(used, rule.p1), used
  end

  return { arguments = 3, valid = valid, evaluate = evaluate, encode = encode, report = report } -- r q cap
end
