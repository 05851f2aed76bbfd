#!lua flags=allow-oom
-- @include base outbox
-- An alert, a lead or a summary of leads was sent to the owner, or could not be. Keeps true: what came meanwhile is
-- sent too, an alert when its quiet hour is over; in a minute, ten leads go one by one, and the others in one summary.
-- ARGV[2]: {members: [[member, version]…], count, quiet}, or {members, wait} if it must be tried again (both in
-- milliseconds).
-- Returns how often it has failed.
local a = cjson.decode(ARGV[2])

local function failed(member)
  redis.call('ZADD', list_of(member), 'XX', int(now + a.wait), member)
  return redis.call('HINCRBY', NOTICES .. ':failures', member, 1)
end

local function quieten(alert)
  redis.call('HINCRBY', 'eg:' .. alert, 'count', -a.count)
  redis.call('HSET', 'eg:' .. alert, 'quiet', int(now + a.quiet))
  redis.call('PEXPIRE', 'eg:' .. alert, KEEP_ALERT)
end

local function told(member, version)
  redis.call('HDEL', NOTICES .. ':failures', member)
  if list_of(member) == NOTICES then quieten(member) else count_lead() end
  if redis.call('HGET', NOTICES .. ':versions', member) == version then
    redis.call('HDEL', NOTICES .. ':versions', member)
    redis.call('ZREM', list_of(member), member)
  else
    redis.call('ZADD', list_of(member), 'XX', int(now + a.quiet), member)
  end
end

local failures = 0
for _, told_of in ipairs(a.members) do
  if a.wait then failures = math.max(failures, failed(told_of[1])) else told(told_of[1], told_of[2]) end
end
return failures
