-- SPDX-License-Identifier: Apache-2.0
-- Token bucket as exact-rational GCRA. State is one instant, "when the bucket is full": F whole microseconds and the
-- fraction f/r0 of one. r credits flow in per microsecond, a token costs q, the bucket holds cap. All numbers are
-- integers below 2^53 = 9007199254740992, exact in Lua's doubles; (a - a % b) / b is their integer quotient and
-- -math.floor(-a / b) rounds up. Twin of limiter/algorithms/token_bucket.cpp.
local function token_bucket()
  local function valid(r, q, cap)
    return r and q and cap and r >= 1 and r < 9007199254740992 and r % 1 == 0 and q >= 1 and q % 1 == 0 and
      cap >= q and cap < 9007199254740992 and cap % q == 0 and cap / r < 4503599627370496
  end

  -- Stored text "F" or "F:f:r0" -> allowed, retry, granted, used credits, used credits after a commit, whether the
  -- state must be repaired. Text of another form counts as none. `already` credits of the same call count as used.
  -- `age`, of a refund: microseconds since the charge; what has flowed in since is not given back once more.
  local function evaluate(op, now, text, n, r, q, cap, already, age)
    local F, f, r0 = text and tonumber(text), 0, 1
    if text and not F then
      F, f, r0 = string.match(text, '^(%d+):(%d+):(%d+)$')
      if F then F, f, r0 = F + 0, f + 0, r0 + 0 end
    end
    local used, beyond = 0, false -- 0 ... cap
    if F and F >= now and f < r0 then
      if f > 0 and r0 ~= r then -- written under another rate: the same instant in units of this one, rounded up
        local product = f * r
        f = product < 9007199254740992 and -math.floor(-product / r0) or r - 1
        if f == r then F, f = F + 1, 0 end
      end
      local ahead = F - now
      -- More than the bucket holds: the clock went back or the capacity shrank. Compared before multiplying: the
      -- product of an instant far ahead would not be exact.
      beyond = ahead > (cap - cap % r) / r or f > cap - ahead * r
      used = beyond and cap or ahead * r + f
    end
    if already then used = used + already end

    local free = cap - used
    local demand = n * q -- from 2^53 on it is only compared, and too large either way
    if op == 'refund' then
      if age then demand = age > cap / r and 0 or math.max(0, math.min(demand, cap) - age * r) end
      return true, 0, 0, used, demand < used and used - demand or 0, beyond
    elseif op == 'take_upto' then
      local granted = math.min(n, (free - free % q) / q)
      if granted == 0 and n > 0 then return false, -math.floor((free - q) / r), 0, used, used, beyond end
      return true, 0, granted, used, used + granted * q, beyond
    elseif n == 0 or demand <= free then
      return true, 0, 0, used, used + demand, beyond
    end
    return false, demand > cap and -1 or -math.floor((free - demand) / r), 0, used, used, beyond
  end

  -- used credits -> remaining, reset, D
  local function report(used, now, text, r, q, cap)
    local free = cap - used
    return (free - free % q) / q, -math.floor(-used / r), used
  end

  -- used credits -> F, text, whether F is a whole instant; nothing for a full bucket
  local function encode(used, now, r)
    if used == 0 then return end
    local f = used % r
    local F = now + (used - f) / r
    if f == 0 then return F, string.format('%d', F), true end
    return F, string.format('%d:%d:%d', F, f, r), false
  end

  return { 3, valid, evaluate, report, encode } -- parameters r q cap
end
