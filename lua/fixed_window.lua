-- SPDX-License-Identifier: Apache-2.0
-- Windows of W microseconds aligned to the epoch: at most L units in each, 2L across an edge. State is the count of
-- the window that began at X - W, stored as "fX:W:c"; W makes it readable under other parameters. All numbers are
-- integers below 2^53. Twin of limiter/algorithms/fixed_window.cpp.
local function fixed_window()
  local function valid(limit, window)
    return limit and window and limit >= 1 and limit <= 2147483648 and limit % 1 == 0 and
      window >= 1 and window < 4503599627370496 and window % 1 == 0 -- 2^52
  end

  -- When the window of now began.
  local function began(now, window)
    return now - now % window
  end

  -- Stored text -> allowed, retry, granted, used units, used units after a commit, whether the state must be
  -- repaired. `already` units of the same call count as used.
  local function evaluate(op, now, text, n, limit, window, unused, already)
    local X, W, count = string.match(text or '', '^f(%d+):(%d+):(%d+)$')
    X, W, count = tonumber(X), tonumber(W), tonumber(count)
    local start = now - now % window
    local used, beyond = already or 0, false
    if X and X >= now and X < 9007199254740992 and X - W >= start and count <= 2147483648 then
      used, beyond = used + count, X - W > start -- a window ahead: the clock went back
    end
    if op == 'refund' then return true, 0, 0, used, math.max(0, used - n), beyond end
    if op == 'take_upto' then
      local granted = math.max(0, math.min(n, limit - used))
      if granted == 0 and n > 0 then return false, start + window - now, 0, used, used, beyond end
      return true, 0, granted, used, used + granted, beyond
    end
    if n == 0 or used + n <= limit then return true, 0, 0, used, used + n, beyond end
    return false, n > limit and -1 or start + window - now, 0, used, used, beyond
  end

  -- used units -> remaining, reset, D
  local function report(used, now, text, limit, window)
    return math.max(0, limit - used), used > 0 and window - now % window or 0, used
  end

  -- used units -> X, text; nothing for an unused window
  local function encode(used, now, limit, window)
    if used == 0 then return end
    local X = now - now % window + window
    return X, string.format('f%.0f:%.0f:%.0f', X, window, used)
  end

  return { 2, valid, evaluate, report, encode, false, began } -- parameters L W
end
