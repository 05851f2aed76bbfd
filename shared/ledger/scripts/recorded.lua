#!lua flags=allow-oom
-- @include base outbox lifecycle
-- An outbox entry was recorded in Notion, or could not be. Keeps true: what changed meanwhile is recorded again;
-- nothing leaves the outbox unrecorded; the time for which a finished enrollment is kept begins when its end is
-- recorded.
-- ARGV[2]: {member, version}, with `back` if nothing could be recorded, or `wait` (ms, doubled with each failure up to
-- an hour) if this entry could not be written.
-- Returns how often it has failed.
local a = cjson.decode(ARGV[2])
if a.back then
  redis.call('ZADD', OUTBOX, 'XX', int(now), a.member)
  return 0
end
if a.wait then
  local failures = redis.call('HINCRBY', 'eg:outbox:failures', a.member, 1)
  redis.call('ZADD', OUTBOX, 'XX', int(now + math.min(a.wait * 2 ^ math.min(failures - 1, 10), 3600000)), a.member)
  return failures
end
if redis.call('HGET', 'eg:outbox:versions', a.member) == a.version then
  redis.call('HDEL', 'eg:outbox:versions', a.member)
  redis.call('ZREM', OUTBOX, a.member)
else
  redis.call('ZADD', OUTBOX, 'XX', int(now), a.member)
end
told(a.member)
return 0
