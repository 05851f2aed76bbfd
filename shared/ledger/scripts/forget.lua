-- @include base rq_jobs outbox wakeups lists
-- Erase a person. Keeps true: nothing of theirs is claimed, posted or told from here on; that they had an enrollment
-- (eg:runs) and that they want no email (the suppression) stays, under a digest. Others of an unsettled batch are in
-- doubt when its holder does not report: the request that could be repeated is erased.
-- ARGV[2]: {contact, enrollments (that no list holds), meetings (keys)}.
-- Returns {enrollments, frozen requests, things that Notion and the owner were to be told of, meetings}, how many of
-- each.
local a = cjson.decode(ARGV[2])
local runs, requests, notes, meetings = 0, 0, 0, 0

local function untell(list, member)
  notes = notes + redis.call('ZREM', list, member)
  redis.call('HDEL', list .. ':versions', member)
  redis.call('HDEL', list .. ':failures', member)
end

-- Its scheduled wake-up goes with it, and what waits on the queue or was listed as failed. A job that runs right now finds nothing.
local function erase_jobs(id, look)
  for number = look, math.max(look - 1, 0), -1 do
    local job = id .. '-' .. int(number)
    if redis.call('LREM', QUEUE, 0, job) + redis.call('ZREM', 'rq:failed:send', job) > 0 then redis.call('DEL', 'rq:job:' .. job) end
  end
end

local function erase_step(enrollment, step)
  local id, s = email_id(enrollment, step), step_of(enrollment, step)
  close_step(enrollment, step)
  erase_jobs(id, tonumber(s.look))
  if s.frozen then requests = requests + redis.call('DEL', frozen_key(s.frozen)) end
  redis.call('ZREM', DOUBTS, id)
  untell(OUTBOX, 'email:' .. id)
end

local function erase_enrollment(enrollment)
  if redis.call('HGET', enrollment_key(enrollment), 'contact') ~= a.contact then return end
  for _, step in ipairs(steps_in_order(enrollment)) do erase_step(enrollment, step) end
  untell(OUTBOX, 'enrollment:' .. enrollment)
  unlist_enrollment(enrollment)
  runs = runs + redis.call('DEL', enrollment_key(enrollment))
end

for _, enrollment in ipairs(redis.call('SMEMBERS', 'eg:enrollments:' .. a.contact)) do erase_enrollment(enrollment) end
for _, enrollment in ipairs(a.enrollments) do erase_enrollment(enrollment) end
for _, meeting in ipairs(a.meetings) do
  if redis.call('HGET', meeting, 'contact') == a.contact then meetings = meetings + redis.call('DEL', meeting) end
end
untell(OUTBOX, 'contact:' .. a.contact)
untell(NOTICES, 'lead:' .. a.contact)

local contact = 'eg:contact:' .. a.contact
local kept = fields(contact, 'bounced', 'complained', 'manual', 'unsubscribed')
redis.call('DEL', contact, 'eg:enrollments:' .. a.contact)
for reason, at in pairs(kept) do redis.call('HSET', contact, reason, at) end
return {runs, requests, notes, meetings}
