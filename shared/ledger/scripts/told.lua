#!lua flags=allow-oom
-- @include base outbox
-- An alert was sent to the owner, or could not be. Keeps true: what came meanwhile is sent too, an alert when its quiet
-- hour is over.
-- ARGV[2]: {member, version, count, quiet}, or {member, wait} if it must be tried again (both in milliseconds).
-- Returns how often it has failed.
local a = cjson.decode(ARGV[2])
if a.wait then
  redis.call('ZADD', NOTICES, 'XX', int(now + a.wait), a.member)
  return redis.call('HINCRBY', NOTICES .. ':failures', a.member, 1)
end
redis.call('HDEL', NOTICES .. ':failures', a.member)
if string.match(a.member, '^alert:') then
  redis.call('HINCRBY', 'eg:' .. a.member, 'count', -a.count)
  redis.call('HSET', 'eg:' .. a.member, 'quiet', int(now + a.quiet))
  redis.call('PEXPIRE', 'eg:' .. a.member, KEEP_ALERT)
end
if redis.call('HGET', NOTICES .. ':versions', a.member) == a.version then
  redis.call('HDEL', NOTICES .. ':versions', a.member)
  redis.call('ZREM', NOTICES, a.member)
else
  redis.call('ZADD', NOTICES, 'XX', int(now + a.quiet), a.member)
end
return 0
