-- @include base rq_jobs
-- What must be reported: alerts and leads to the owner, changes to Notion.

local KEEP_ALERT = 7 * 86400000
local OUTBOX, NOTICES, LEADS = 'eg:outbox', 'eg:notices', 'eg:notices:leads'
local LEADS_A_MINUTE = 10  -- that are told one by one

-- Alerts and leads wait on lists of their own, so that any number of leads holds up no alert.
local function list_of(member) return string.match(member, '^lead:') and LEADS or NOTICES end

-- How many leads the owner was told of in this minute, which begins with the first.
local MINUTE = LEADS .. ':minute'
local function leads_this_minute()
  local v = redis.call('HMGET', MINUTE, 'since', 'told')
  local age = v[1] and now - tonumber(v[1])
  return age and age >= 0 and age < 60000 and tonumber(v[2]) or 0
end
local function count_lead()
  if leads_this_minute() == 0 then redis.call('HSET', MINUTE, 'since', int(now), 'told', '0') end
  redis.call('HINCRBY', MINUTE, 'told', 1)
  redis.call('PEXPIRE', MINUTE, 60000)
end

-- Tell the owner at once about `lead:<contact>` or `alert:<cause>`.
local function notice(member, at)
  redis.call('HINCRBY', NOTICES .. ':versions', member, 1)
  redis.call('ZADD', list_of(member), 'NX', int(at), member)
  soon('notify', 'tell the owner')
end

-- Something is wrong: sent at most once per hour and cause, with how often it came and the latest detail.
local function alert(cause, detail)
  local key = 'eg:alert:' .. cause
  redis.call('HINCRBY', key, 'count', 1)
  redis.call('HSET', key, 'detail', detail)
  redis.call('PEXPIRE', key, KEEP_ALERT)
  notice('alert:' .. cause, math.max(now, tonumber(redis.call('HGET', key, 'quiet') or '0')))
end

-- Something changed that must be recorded in Notion: kind is contact, enrollment or email. The state at the time of
-- recording is written, so that ten changes become one. Enrollments go ahead of details that changed in the last
-- minute.
local function dirty(kind, id)
  local member = kind .. ':' .. id
  redis.call('HINCRBY', 'eg:outbox:versions', member, 1)
  redis.call('ZADD', OUTBOX, 'NX', int(kind == 'enrollment' and now - 60000 or now), member)
  record_soon()
end
