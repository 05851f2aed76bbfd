#!lua flags=allow-oom
-- @include gate
-- Stop all sending, or start it again, by a person's decision. Keeps true: behind the gate, nothing is claimed or
-- passes its last look; only a person opens what a person closed.
-- ARGV[2]: {reason} to stop, {} to start.
-- Returns whether sending is stopped now (1 or 0).
local a = cjson.decode(ARGV[2])
redis.call('DEL', GATE)
if a.reason then redis.call('HSET', GATE, 'reason', a.reason) end
return a.reason and 1 or 0
