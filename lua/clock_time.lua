-- SPDX-License-Identifier: Apache-2.0
-- Clock prelude of production: microseconds since the epoch by the server's clock, read exactly once.
local now
do
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
