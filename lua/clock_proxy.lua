-- SPDX-License-Identifier: Apache-2.0
-- Clock prelude of `store.clock: proxy`, for servers that refuse TIME inside scripts: microseconds since the epoch
-- by the caller's clock, its last argument. Callers whose clocks differ over-admit by their difference times the rate.
local now = tonumber(table.remove(ARGV))
