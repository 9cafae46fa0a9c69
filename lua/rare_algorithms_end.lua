-- SPDX-License-Identifier: Apache-2.0
-- Closes rare_algorithms_begin.lua. A new algorithm gets a line here.
  if letter == 'f' then return fixed_window() end
  if letter == 'k' then return calendar_window() end
  if letter == 'c' then return sliding_window_counter() end
  if letter == 'l' then return sliding_window_log() end
  if letter == 's' then return concurrency() end
  if letter == '!' then return penalty() end
end
