-- SPDX-License-Identifier: Apache-2.0
-- Two counters stand for a window that slides: units of the window of W microseconds that began at s, and of the one
-- before it, which weighs as much as it still overlaps. A take of n fits iff prev * (W - e) / W + cur + n <= L with
-- e = now - s, compared without division. Stored as "cX:W:cur:prev" with X = s + 2W. Products stay below 2^53 (the
-- load check bounds L * W), but for prev * (W - e) after a reload that lowered L, which is only compared.
-- Twin of limiter/algorithms/sliding_window_counter.cpp.
local function sliding_window_counter()
  local function valid(limit, window)
    return limit and window and limit >= 1 and limit <= 2147483648 and limit % 1 == 0 and
      window >= 1 and window < 2251799813685248 and window % 1 == 0 and limit * window < 9007199254740992 -- 2^51, 2^53
  end

  -- When the window of now began.
  local function began(now, window)
    return now - now % window
  end

  local function remaining_of(cur, prev, rest, limit, window)
    local free = (limit - cur) * window - prev * rest
    return free > 0 and (free - free % window) / window or 0
  end

  -- Time until n <= L more units fit, which they do not now.
  local function wait(cur, prev, rest, n, limit, window)
    if cur + n <= limit then return rest - math.floor((limit - cur - n) * window / prev) end
    return rest + math.max(0, window - math.floor((limit - n) * window / cur))
  end

  -- Stored text -> allowed, retry, granted, used units of this window, used units after a commit, whether the state
  -- must be repaired, used units of the window before. `already` units of the same call count as used.
  local function evaluate(op, now, text, n, limit, window, unused, already)
    local X, W, cur, prev = string.match(text or '', '^c(%d+):(%d+):(%d+):(%d+)$')
    X, W, cur, prev = tonumber(X), tonumber(W), tonumber(cur), tonumber(prev)
    local start, beyond = now - now % window, false
    local rest = start + window - now
    local began_at = X and X >= now and X < 9007199254740992 and cur <= 2147483648 and prev <= 2147483648 and X - 2 * W
    if not began_at then
      cur, prev = 0, 0
    elseif began_at > start then -- a window ahead: the clock went back
      beyond = true
    elseif began_at == start - window then
      cur, prev = 0, cur
    elseif began_at < start then -- of another period: neither this window nor the one before
      cur, prev = 0, 0
    end
    cur = cur + (already or 0)
    if op == 'refund' then return true, 0, 0, cur, math.max(0, cur - n), beyond, prev end
    if op == 'take_upto' then
      local granted = math.min(n, remaining_of(cur, prev, rest, limit, window))
      if granted == 0 and n > 0 then
        return false, wait(cur, prev, rest, 1, limit, window), 0, cur, cur, beyond, prev
      end
      return true, 0, granted, cur, cur + granted, beyond, prev
    end
    if n == 0 or cur + n <= limit and prev * rest <= (limit - cur - n) * window then
      return true, 0, 0, cur, cur + n, beyond, prev
    end
    return false, n > limit and -1 or wait(cur, prev, rest, n, limit, window), 0, cur, cur, beyond, prev
  end

  -- used units -> remaining, reset, D
  local function report(cur, now, text, limit, window, unused, prev)
    local rest = window - now % window
    return remaining_of(cur, prev, rest, limit, window), cur > 0 and rest + window or prev > 0 and rest or 0, cur
  end

  -- used units -> X, text; nothing when both windows are unused
  local function encode(cur, now, limit, window, prev)
    if cur == 0 and prev == 0 then return end
    local X = now - now % window + 2 * window
    return X, string.format('c%.0f:%.0f:%.0f:%.0f', X, window, cur, prev)
  end

  return { 2, valid, evaluate, report, encode, false, began } -- parameters L W
end
