#!lua flags=allow-oom
-- @include base limits
-- Count an action that has limits. Keeps true: all processes together stay within each limit; the console's login can
-- count on a full ledger, too.
-- ARGV[2]: {limits: [{key, most, window}…]}, with `back` to take one off each count, if there is one. Those after one
-- that is exceeded are not counted.
-- Returns {now, milliseconds until it is allowed again, or 0 if it is allowed now}.
local a = cjson.decode(ARGV[2])
local wait = 0
for _, limit in ipairs(a.limits) do
  if a.back then give_back(limit.key) elseif wait == 0 then wait = wait_after(limit) end
end
return {now, wait}
