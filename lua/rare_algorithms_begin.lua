-- SPDX-License-Identifier: Apache-2.0
-- Everything but the token bucket stands inside this function: a call that needs none of it, which is nearly every
-- call, does not pay for making their closures. Closed by rare_algorithms_end.lua.
local function rare_algorithm(letter)
