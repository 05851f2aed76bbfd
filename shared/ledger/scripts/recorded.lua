-- @include base outbox lifecycle
-- Notion was told, or could not be. Keeps true: what changed meanwhile is told again; nothing leaves the outbox untold;
-- the time for which a finished enrollment is kept begins when its end is recorded.
-- ARGV[2]: {member, version}, with `back` where nobody could be told, or `wait` (ms, doubled with each failure up to an
-- hour) where this thing could not be written.
-- Returns how often it failed.
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
