-- SPDX-License-Identifier: Apache-2.0
-- The driver as a function, for packs (pack.lua) only: single calls do not pay for the closure.
local function decide(KEYS, ARGV)
