-- SPDX-License-Identifier: Apache-2.0
-- A rule's penalty: its first denial of a key blocks the key for `length` microseconds, later ones do not prolong that.
-- State is the end of the block, stored as "pX" under the rule's id and `!`, beside what the rule counts. No algorithm
-- of its own: it changes what one has said. Twin of limiter/penalty.hpp.
local function penalty()
  local function valid(length)
    return length and length >= 1 and length < 4503599627370496 and length % 1 == 0 -- 2^52
  end

  -- Stored text, what the rule's algorithm said of a take or peek of n -> allowed, retry, used after a commit, end of
  -- the block after and before a take (0 when there is none), whether that is to be stored. Nothing begins when n is 0
  -- or no wait helps.
  local function evaluate(text, now, length, n, allowed, retry, used, after)
    local stored = tonumber(string.match(text or '', '^p(%d+)$')) or 0
    local read = math.min(stored, now + length) -- beyond: the clock went back, or the penalty was longer
    local ends = read
    if n > 0 then
      if ends > now then
        if allowed or retry > 0 then retry = math.max(retry, ends - now) end
        allowed, after = false, used
      elseif not allowed and retry > 0 then
        ends = now + length
        retry = math.max(retry, length)
      end
    end
    return allowed, retry, after, ends, read, ends ~= stored and ends > now
  end

  -- end of the block -> X, text
  local function encode(ends)
    return ends, string.format('p%d', ends), false
  end

  return { 1, valid, evaluate, false, encode } -- parameter length; reports nothing
end
