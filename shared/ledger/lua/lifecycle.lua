-- @include base rq_jobs outbox wakeups lists queue
-- How an enrollment and its steps move from one state to the next, and what ends with them.

-- An outbox entry has been recorded; the time for which a finished enrollment is kept begins then.
local function told(member)
  redis.call('HDEL', 'eg:outbox:failures', member)
  local enrollment = string.match(member, '^enrollment:(.+)$')
  if enrollment and redis.call('HEXISTS', enrollment_key(enrollment), 'ended') == 1 then
    redis.call('PEXPIRE', enrollment_key(enrollment), KEEP_FINISHED)
    keep_enrollments(redis.call('HGET', enrollment_key(enrollment), 'contact'))
  end
end

-- End the enrollment: its group is free for the next, and it is kept for a while.
local function end_enrollment(enrollment, state, why)
  local key = enrollment_key(enrollment)
  local e = fields(key, 'contact', 'group')
  enter(enrollment, state)
  redis.call('HSET', key, 'ended', int(now))
  if why then redis.call('HSET', key, 'why', why) end
  local contact = 'eg:contact:' .. e.contact
  if e.group and redis.call('HGET', contact, 'group.' .. e.group) == enrollment then
    redis.call('HDEL', contact, 'group.' .. e.group)
    start_next(e.contact, e.group)
  end
  redis.call('PEXPIRE', key, KEEP_FINISHED)
  dirty('enrollment', enrollment)
end

-- A step has ended: the next due one may go, or the enrollment is over; it has failed if none of its emails was sent,
-- or perhaps sent, and one failed.
local function advance(enrollment)
  local key, ended = enrollment_key(enrollment), {}
  if redis.call('HGET', key, 'state') ~= 'active' then return end
  for _, step in ipairs(steps_in_order(enrollment)) do
    local v = redis.call('HMGET', key, step .. '.state', step .. '.next')
    if v[1] == 'scheduled' or v[1] == 'sending' then
      if v[1] == 'scheduled' and tonumber(v[2]) <= now then wake(enrollment, step, now) end
      return
    end
    ended[v[1]] = true
  end
  local failed = ended.failed and not ended.sent and not ended['in-doubt']
  end_enrollment(enrollment, failed and 'failed' or 'completed')
end

-- Remove the step from the doubts, and all its wake-ups from RQ's failed list: it needs no attention any more.
local function unlist(enrollment, step)
  redis.call('ZREM', DOUBTS, email_id(enrollment, step))
  for look = 1, tonumber(step_of(enrollment, step).look) do
    local job = email_id(enrollment, step) .. '-' .. int(look)
    if redis.call('ZREM', 'rq:failed:send', job) == 1 then redis.call('DEL', 'rq:job:' .. job) end
  end
end

-- End a step as `state`. The frozen request is kept only if the outcome is unknown: a person may want to repeat it as
-- it was. If a person has given up a doubt, what a later proof needs is kept. A failure must end in RQ's failed list:
-- if its own job is not the one at work (`at_work`), a new job is queued, which will raise.
local function end_step(enrollment, step, state, changes, at_work)
  local before = redis.call('HGET', enrollment_key(enrollment), step .. '.state')
  local listed = before == 'failed' or before == 'in-doubt'
  changes.state, changes.lease, changes.solo, changes.forced = state, false, false, false
  if state == 'in-doubt' then
    changes.ambiguous = '1'
    redis.call('ZADD', DOUBTS, int(now), email_id(enrollment, step))
  elseif state ~= 'skipped' or before ~= 'in-doubt' then
    local request = redis.call('HGET', enrollment_key(enrollment), step .. '.frozen')
    if request then redis.call('DEL', frozen_key(request)) end
    changes.posted, changes.frozen, changes.ambiguous = false, false, false
  end
  if listed and (state == 'sent' or state == 'skipped') then unlist(enrollment, step) end
  set_step(enrollment, step, changes)  -- `accepted` may be reported twice
  if before ~= state then tally(enrollment, step .. '.' .. state) end
  close_step(enrollment, step)
  dirty('enrollment', enrollment)
  if listed or state == 'sent' or state == 'failed' or state == 'in-doubt' then
    dirty('email', email_id(enrollment, step))
  end
  if state == 'failed' or state == 'in-doubt' then
    alert(state, email_id(enrollment, step) .. ': ' .. (changes.why or 'no reason given'))
    if at_work ~= email_id(enrollment, step) then
      local look = redis.call('HINCRBY', enrollment_key(enrollment), step .. '.look', 1)
      push(email_id(enrollment, step) .. '-' .. int(look), enrollment, step)
    end
  end
  advance(enrollment)
end

-- An earlier post of these emails may have been accepted, and they may not be sent now: only a person can decide.
-- `stopped` is the one that may no longer go; the others only went along with it.
local function doubt_all(members, why, stopped, at_work)
  for _, id in ipairs(members) do
    local enrollment, step = parse_email_id(id)
    if step_of(enrollment, step).state == 'sending' then
      local because = 'its batch cannot be repeated, because another email in it may no longer go (' .. why .. ')'
      local own = (not stopped or id == stopped) and why or because
      end_step(enrollment, step, 'in-doubt', {why = own}, at_work)
    end
  end
end

-- End an enrollment early. An email that has passed its last look is not stopped. Why people leave is counted under the
-- last email they got.
local LEAVING = {booked = true, client = true, unsubscribed = true}
local function stop_enrollment(enrollment, state, why)
  end_enrollment(enrollment, state, why)
  local last = '0'
  for _, step in ipairs(steps_in_order(enrollment)) do
    if redis.call('HGET', enrollment_key(enrollment), step .. '.state') == 'sent' then last = step end
  end
  if state == 'exited' and LEAVING[why] then tally(enrollment, last .. '.' .. why) end
  for _, step in ipairs(steps_in_order(enrollment)) do
    if redis.call('HGET', enrollment_key(enrollment), step .. '.state') == 'scheduled' then
      end_step(enrollment, step, 'cancelled', {why = why})
    end
  end
end

local function is_open(enrollment)
  local state = enrollment and redis.call('HGET', enrollment_key(enrollment), 'state')
  return OPEN_STATES[state] == true
end

-- The contact's open enrollments. Queued ones come first, so that what ends all of them starts none.
local function open_enrollments(contact)
  local list = {}
  for _, enrollment in ipairs(redis.call('SMEMBERS', 'eg:enrollments:' .. contact)) do
    local queued = redis.call('HGET', enrollment_key(enrollment), 'state') == 'queued'
    if is_open(enrollment) then table.insert(list, queued and 1 or #list + 1, enrollment) end
  end
  return list
end
