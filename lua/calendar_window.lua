-- SPDX-License-Identifier: Apache-2.0
-- Windows of the calendar: at most L units in each. The caller gives the instants a < b < c at which the window it
-- believes in, the next and the one after begin; the driver picks the one that holds the server's clock, so that a
-- call that is late over midnight is charged to the new day. State is the count of the window that ends at X, stored
-- as "kX:c". Twin of limiter/algorithms/calendar_window.cpp.
local function calendar_window()
  local function valid(limit, a, b, c)
    return limit and a and b and c and limit >= 1 and limit <= 2147483648 and limit % 1 == 0 and
      a > 0 and a % 1 == 0 and b > a and b - a <= 2764800000000 and b % 1 == 0 and -- 32 days
      c > b and c - b <= 2764800000000 and c % 1 == 0 and c < 9007199254740992
  end

  -- When the window of now began.
  local function began(now, stop, start)
    return start
  end

  -- Stored text -> allowed, retry, granted, used units, used units after a commit, whether the state must be
  -- repaired, end of the window. The stored end stands: two callers with different zone data share one window.
  local function evaluate(op, now, text, n, limit, stop, start, already)
    local X, count = string.match(text or '', '^k(%d+):(%d+)$')
    X, count = tonumber(X), tonumber(count)
    local used, beyond = already or 0, false
    if X and X > now and count <= 2147483648 then
      used, beyond = used + count, X > stop -- a window ahead: the clock went back
      stop = math.min(X, stop)
    end
    if op == 'refund' then return true, 0, 0, used, math.max(0, used - n), beyond, stop end
    if op == 'take_upto' then
      local granted = math.max(0, math.min(n, limit - used))
      if granted == 0 and n > 0 then return false, stop - now, 0, used, used, beyond, stop end
      return true, 0, granted, used, used + granted, beyond, stop
    end
    if n == 0 or used + n <= limit then return true, 0, 0, used, used + n, beyond, stop end
    return false, n > limit and -1 or stop - now, 0, used, used, beyond, stop
  end

  -- used units -> remaining, reset, D
  local function report(used, now, text, limit, unused, start, stop)
    return math.max(0, limit - used), used > 0 and stop - now or 0, used
  end

  -- used units -> X, text; nothing for an unused window
  local function encode(used, now, limit, unused, stop)
    if used == 0 then return end
    return stop, string.format('k%.0f:%.0f', stop, used)
  end

  return { 4, valid, evaluate, report, encode, false, began } -- parameters L a b c; the driver makes them L end start
end
