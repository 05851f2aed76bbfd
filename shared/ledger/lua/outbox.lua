-- @include base rq_jobs
-- What others must be told: the owner of alerts and leads, Notion of what has changed.

local KEEP_ALERT = 7 * 86400000
local OUTBOX, NOTICES = 'eg:outbox', 'eg:notices'

-- The owner must be told at once of `lead:<contact>` or `alert:<cause>`.
local function notice(member, at)
  redis.call('HINCRBY', NOTICES .. ':versions', member, 1)
  redis.call('ZADD', NOTICES, 'NX', int(at), member)
  soon('notify', 'tell the owner')
end

-- Something is wrong: told once an hour and cause, with how often it came and the latest of it.
local function alert(cause, detail)
  local key = 'eg:alert:' .. cause
  redis.call('HINCRBY', key, 'count', 1)
  redis.call('HSET', key, 'detail', detail)
  redis.call('PEXPIRE', key, KEEP_ALERT)
  notice('alert:' .. cause, math.max(now, tonumber(redis.call('HGET', key, 'quiet') or '0')))
end

-- Something changed that Notion must be told of: kind is contact, enrollment or email. It is told the state that it
-- finds then, so that ten changes become one. Enrollments go ahead of details that changed in the last minute.
local function dirty(kind, id)
  local member = kind .. ':' .. id
  redis.call('HINCRBY', 'eg:outbox:versions', member, 1)
  redis.call('ZADD', OUTBOX, 'NX', int(kind == 'enrollment' and now - 60000 or now), member)
  record_soon()
end
