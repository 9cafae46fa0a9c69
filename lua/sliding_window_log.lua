-- SPDX-License-Identifier: Apache-2.0
-- Exactly L units in any window of W: one stamp per admitted unit, oldest first, in a list of its own. A unit taken at
-- s counts at t iff s > t-W. `list` is what the driver gives to read it: length, and at(i) for 0 <= i < length, which
-- costs a command; `newest` and `expired` are noted in it. Twin of limiter/algorithms/sliding_window_log.cpp.
local function sliding_window_log()
  local floor, min, max = math.floor, math.min, math.max

  local function valid(limit, window)
    return limit and window and limit >= 1 and limit <= 10000 and limit % 1 == 0 and
      window >= 1 and window < 4503599627370496 and window % 1 == 0 -- 2^52
  end

  -- Number of stamps <= instant.
  local function count_until(list, instant)
    local low, high = 0, list.length
    if high == 0 or list.at(0) > instant then return 0 end
    while low < high do
      local middle = floor((low + high) / 2)
      if list.at(middle) <= instant then low = middle + 1 else high = middle end
    end
    return low
  end

  -- Time until `units` more fit: the oldest units in the way must leave the window. 0 when they fit now.
  local function wait(list, units, now, limit, window)
    local in_the_way = list.length + units - limit
    if in_the_way <= 0 then return 0 end
    if in_the_way > list.length then return window end -- units of this very call
    return max(0, min(list.at(in_the_way - 1), now) + window - now) -- a stamp beyond the clock counts as taken now
  end

  -- When the oldest unit that still counts may have been taken.
  local function began(now, window)
    return now - window + 1
  end

  -- -> allowed, retry, granted, used units, used units after a commit, whether the state must be repaired. `already`
  -- units of the same call count as used.
  local function evaluate(op, now, list, n, limit, window, unused, already)
    list.newest = list.length > 0 and list.at(list.length - 1) or 0
    local beyond = list.newest > now
    local retry = 0
    if n > 0 and (op == 'take' or op == 'peek') then
      retry = n > limit and -1 or wait(list, n + (already or 0), now, limit, window)
      -- `limit` may be in use or, after a reload, more: remaining is 0 either way, and no search is needed.
      if retry ~= 0 and n == 1 and not beyond then return false, retry, 0, limit, limit, false end
    end
    list.expired = count_until(list, now - window)
    local used = list.length - list.expired
    if op == 'refund' then return true, 0, 0, used, max(0, used - n), beyond end
    if op == 'take_upto' then
      local granted = max(0, min(n, limit - used))
      if granted == 0 and n > 0 then return false, wait(list, 1, now, limit, window), 0, used, used, beyond end
      return true, 0, granted, used, used + granted, beyond
    end
    if retry ~= 0 then return false, retry, 0, used, used, beyond end
    return true, 0, 0, used, used + n, beyond
  end

  -- What changes the used units by `change` and moves stamps beyond the clock to now: keep the elements first ... last,
  -- then append `push` stamps of now. Fourth: X, nothing for an empty list.
  local function rewrite(change, now, list, window)
    local ahead = list.newest > now and list.length - count_until(list, now) or 0
    local first, last, push = list.expired, list.length - 1 - ahead, ahead + change
    if push < 0 then last, push = last + push, 0 end -- a refund takes away the newest
    if push > 0 then
      list.newest = now
    elseif last >= first then
      list.newest = list.at(last)
    else
      return first, last, push
    end
    return first, last, push, list.newest + window
  end

  -- used units -> remaining, reset, D
  local function report(used, now, list, limit, window)
    local reset = used > 0 and min(list.newest, now) + window - now or 0
    return max(0, limit - used), reset, min(used, limit)
  end

  return { 2, valid, evaluate, report, rewrite, 'l', began } -- parameters L W; a key of its own
end
