-- SPDX-License-Identifier: Apache-2.0
-- Limits in nginx as one writes them with the Lua module: one script call per request over a pooled connection.
-- `digest` and `store_port` are set in nginx.conf.
local client = require "nginx.redis"

function limit(prefix, rules, capacity)
  local store = client:new()
  store:set_timeout(1000)
  if not store:connect("127.0.0.1", store_port) then
    return ngx.exit(503)
  end
  local user = ngx.var.http_x_user_id or ngx.var.remote_addr
  local keys = {}
  for i = 1, rules do
    keys[i] = prefix .. i .. ":" .. user
  end
  local rate = capacity == 1 and 0.00001 or capacity
  keys[rules + 1], keys[rules + 2] = capacity, rate
  local reply = store:evalsha(digest, rules, unpack(keys))
  if not reply then
    return ngx.exit(503)
  end
  store:set_keepalive(60000, 256)
  if reply[1] == 0 then
    ngx.header["Retry-After"] = reply[3]
    return ngx.exit(429)
  end
  ngx.header["RateLimit-Remaining"] = reply[2]
end
