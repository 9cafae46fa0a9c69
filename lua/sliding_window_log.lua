-- SPDX-License-Identifier: Apache-2.0
-- Exactly L units in any window of W: one stamp per admitted unit, oldest first, in a list of its own. A unit taken at
-- s counts at t iff s > t-W. The list is read through `list`: its length and at(i), 0 <= i < length, which costs a
-- command. Twin of limiter/algorithms/sliding_window_log.cpp.
local sliding_window_log = { own_key = true, arguments = 2 } -- L W
do
  local floor, min, max = math.floor, math.min, math.max

  function sliding_window_log.valid(limit, window)
    return limit <= 10000 and window < 4503599627370496 -- 2^52
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
  local function wait(rule, list, units, now)
    local in_the_way = list.length + units - rule[1]
    if in_the_way <= 0 then return 0 end
    return max(0, min(list.at(in_the_way - 1), now) + rule[2] - now) -- a stamp beyond the clock counts as taken now
  end

  function sliding_window_log.evaluate(rule, list, op, now)
    local n, limit, window = rule.n, rule[1], rule[2]
    rule.list = list
    rule.newest = list.length > 0 and list.at(list.length - 1) or 0
    rule.beyond = rule.newest > now
    local allowed, retry, granted = true, 0, 0
    if n > 0 and (op == 'take' or op == 'peek') then
      retry = n > limit and -1 or wait(rule, list, n, now)
      allowed = retry == 0
    end
    if not allowed and n == 1 and not rule.beyond then
      rule.used = limit -- or more after a reload: remaining is 0 either way, and no search is needed
    else
      rule.expired = count_until(list, now - window)
      rule.used = list.length - rule.expired
    end
    local after = rule.used
    if op == 'refund' then
      after = max(0, rule.used - n)
    elseif op == 'take_upto' then
      granted = max(0, min(n, limit - rule.used))
      after = rule.used + granted
      if granted == 0 and n > 0 then allowed, retry = false, wait(rule, list, 1, now) end
    elseif allowed then
      after = rule.used + n
    end
    rule.allowed, rule.retry, rule.granted, rule.after = allowed, retry, granted, after
  end

  -- What makes the list hold `used` units: keep the elements first ... last, then append `push` stamps of now. Fourth:
  -- X, nothing for an empty list.
  function sliding_window_log.rewrite(rule, used, now)
    local list = rule.list
    local ahead = rule.beyond and list.length - count_until(list, now) or 0
    local first, last, push = rule.expired, list.length - 1 - ahead, ahead + used - rule.used
    if push < 0 then last, push = last + push, 0 end -- a refund takes away the newest
    if push > 0 then
      rule.newest = now
    elseif last >= first then
      rule.newest = list.at(last)
    else
      return first, last, push
    end
    return first, last, push, rule.newest + rule[2]
  end

  -- used units -> remaining, reset, D
  function sliding_window_log.report(rule, used, now)
    local reset = used > 0 and min(rule.newest, now) + rule[2] - now or 0
    return max(0, rule[1] - used), reset, min(used, rule[1])
  end
end
