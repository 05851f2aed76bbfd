-- @include base
-- Where people find enrollments, and what the console counts for a campaign.

local DOUBTS = 'eg:doubts'  -- the emails in doubt, by when the doubt began
local WAITING = 'eg:waiting'  -- the queued enrollments, by the end of their wait

-- Count what happened to a campaign's emails, for the console's funnel; `by` is 1 unless something is taken back.
local function tally(enrollment, name, by)
  local slug = redis.call('HGET', enrollment_key(enrollment), 'slug')
  if slug then redis.call('HINCRBY', 'eg:tally:' .. slug, name, by or 1) end
end

-- The lists that hold an enrollment: all, a campaign's, those in a state, and a campaign's in a state; the latest
-- first.
local STATES = {'active', 'paused', 'queued', 'completed', 'failed', 'exited', 'cancelled'}
local OPEN_STATES = {active = true, paused = true, queued = true}
local function slug_of(enrollment) return string.match(enrollment, '^(.+)%-%x+%-%d+$') or '' end
local function list_names(enrollment, state)
  return 'eg:in:' .. state, 'eg:in:' .. state .. ':' .. slug_of(enrollment)
end

-- The list of a contact's enrollments is kept as long as the last of them.
local function keep_enrollments(contact)
  local list = 'eg:enrollments:' .. contact
  for _, enrollment in ipairs(redis.call('SMEMBERS', list)) do
    local state = redis.call('HGET', enrollment_key(enrollment), 'state')
    if OPEN_STATES[state] then return redis.call('PERSIST', list) end
    if not state then redis.call('SREM', list, enrollment) end
  end
  redis.call('PEXPIRE', list, KEEP_FINISHED)
end

-- Move the enrollment to another state.
local function enter(enrollment, state)
  local key = enrollment_key(enrollment)
  local before = redis.call('HGET', key, 'state')
  if before then
    for _, list in ipairs({WAITING, list_names(enrollment, before)}) do redis.call('ZREM', list, enrollment) end
  end
  redis.call('HSET', key, 'state', state)
  if state == 'queued' then redis.call('ZADD', WAITING, redis.call('HGET', key, 'queued_until'), enrollment) end
  local created = redis.call('HGET', key, 'created') or int(now)
  redis.call('ZADD', 'eg:recent', created, enrollment)
  redis.call('ZADD', 'eg:of:' .. slug_of(enrollment), created, enrollment)
  for _, list in ipairs({list_names(enrollment, state)}) do redis.call('ZADD', list, created, enrollment) end
  local contact = redis.call('HGET', key, 'contact')
  if OPEN_STATES[state] then
    redis.call('PERSIST', 'eg:enrollments:' .. contact)
  else
    keep_enrollments(contact)
  end
end

-- Remove the enrollment from all lists.
local function unlist_enrollment(enrollment)
  redis.call('ZREM', 'eg:recent', enrollment)
  redis.call('ZREM', WAITING, enrollment)
  redis.call('ZREM', 'eg:of:' .. slug_of(enrollment), enrollment)
  for _, state in ipairs(STATES) do
    for _, list in ipairs({list_names(enrollment, state)}) do redis.call('ZREM', list, enrollment) end
  end
end
