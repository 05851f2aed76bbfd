#!lua flags=allow-oom
-- @include base limits
-- Count an action that has a limit. Keeps true: all processes together stay within the limit; the console's login can
-- count on a full ledger, too.
-- ARGV[2]: {key, most, window}, with `back` to take one off the count, if there is one.
-- Returns {now, milliseconds until it is allowed again, or 0 if it is allowed now}.
local a = cjson.decode(ARGV[2])
if a.back then
  give_back(a.key)
  return {now, 0}
end
return {now, wait_after(a)}
