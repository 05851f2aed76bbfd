-- @include base limits
-- Count an action that has limits. Keeps true: all processes together stay within each limit.
-- ARGV[2]: {limits: [{key, most, window}…]}.
-- Returns {now, milliseconds until it is allowed again, or 0 if it is allowed now}.
local wait = 0
for _, limit in ipairs(cjson.decode(ARGV[2]).limits) do wait = math.max(wait, wait_after(limit)) end
return {now, wait}
