-- @include base limits
-- Count what may be done only so often. Keeps true: of all processes together, no more than the limit is let through.
-- ARGV[2]: {key, most, window}.
-- Returns {now, milliseconds until it may be done again, or 0 where it may be done now}.
return {now, wait_after(cjson.decode(ARGV[2]))}
