-- @include base limits
-- Count an action that has a limit. Keeps true: all processes together stay within the limit.
-- ARGV[2]: {key, most, window}.
-- Returns {now, milliseconds until it is allowed again, or 0 if it is allowed now}.
return {now, wait_after(cjson.decode(ARGV[2]))}
