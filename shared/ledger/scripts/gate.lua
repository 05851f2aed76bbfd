#!lua flags=allow-oom
-- @include gate first_emails
-- Stop all sending, or start it again, by a person's decision. Keeps true: behind the gate, nothing is claimed or
-- passes its last look; only a person opens what a person closed,
-- or lets first emails to unproved addresses leave again.
-- ARGV[2]: {reason} to stop, {} to start.
-- Returns whether sending is stopped now (1 or 0).
local a = cjson.decode(ARGV[2])
redis.call('DEL', GATE)
if not a.reason then redis.call('DEL', FIRSTS, FIRSTS_BOUNCED, FIRSTS_STOPPED) end
if a.reason then redis.call('HSET', GATE, 'reason', a.reason) end
return a.reason and 1 or 0
