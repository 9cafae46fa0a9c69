-- SPDX-License-Identifier: Apache-2.0
-- Exactly L units in any window of W: one stamp per admitted unit, oldest first, in a list of its own. A unit taken at
-- s counts at t iff s > t-W. `list` is what the driver gives to read it: length, and at(i) for 0 <= i < length, which
-- costs a command. Twin of limiter/algorithms/sliding_window_log.cpp.
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
  local function wait(rule, list, units, now)
    local in_the_way = list.length + units - rule.p1
    if in_the_way <= 0 then return 0 end
    return max(0, min(list.at(in_the_way - 1), now) + rule.p2 - now) -- a stamp beyond the clock counts as taken now
  end

  local function evaluate(rule, list, op, now)
    local n, limit, window = rule.n, rule.p1, rule.p2
    rule.newest = list.length > 0 and list.at(list.length - 1) or 0
    rule.beyond = rule.newest > now
    if n > 0 and (op == 'take' or op == 'peek') then
      rule.retry = n > limit and -1 or wait(rule, list, n, now)
      rule.allowed = rule.retry == 0
    end
    if not rule.allowed and n == 1 and not rule.beyond then
      rule.used = limit -- or more, after a reload: remaining is 0 either way, and no search is needed
    else
      rule.expired = count_until(list, now - window)
      rule.used = list.length - rule.expired
    end
    rule.after = rule.used
    if op == 'refund' then
      rule.after = max(0, rule.used - n)
    elseif op == 'take_upto' then
      rule.granted = max(0, min(n, limit - rule.used))
      rule.after = rule.used + rule.granted
      if rule.granted == 0 and n > 0 then rule.allowed, rule.retry = false, wait(rule, list, 1, now) end
    elseif rule.allowed then
      rule.after = rule.used + n
    end
  end

  -- What makes the list hold `used` units: keep the elements first ... last, then append `push` stamps of now. Fourth:
  -- X, nothing for an empty list.
  local function rewrite(rule, list, used, now)
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
    return first, last, push, rule.newest + rule.p2
  end

  -- used units -> remaining, reset, D
  local function report(rule, used, now)
    local reset = used > 0 and min(rule.newest, now) + rule.p2 - now or 0
    return max(0, rule.p1 - used), reset, min(used, rule.p1)
  end

  return { arguments = 2, own_key = true, valid = valid, evaluate = evaluate, rewrite = rewrite, report = report } -- L W
end
