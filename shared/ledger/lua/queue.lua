-- @include base outbox wakeups lists suppression
-- How an enrollment begins: at once, or when the one that holds its group ends. Until then it is `queued`: it has a
-- plan and no steps, so nothing of it is scheduled, claimed or counted.

local WAITED = 'it waited as long as it may, and another campaign of its group was still under way'

-- Begin the enrollment with these steps: {number, offset, due, sent, skipped}. Returns whether any is to be sent.
local function start_enrollment(enrollment, steps)
  local key, order, open = enrollment_key(enrollment), {}, false
  local e = fields(key, 'contact', 'group')
  for i, s in ipairs(steps) do order[i] = int(s.number) end
  redis.call('HSET', key, 'steps', table.concat(order, ','))
  if e.group then redis.call('HSET', 'eg:contact:' .. e.contact, 'group.' .. e.group, enrollment) end
  enter(enrollment, 'active')
  tally(enrollment, 'enrolled')
  for _, s in ipairs(steps) do
    local step = int(s.number)
    if s.sent then
      set_step(enrollment, step, {state = 'sent', due = s.due, offset = s.offset, sent = s.sent, by = 'website'})
      dirty('email', email_id(enrollment, step))
    elseif s.skipped then
      set_step(enrollment, step, {state = 'skipped', due = s.due, offset = s.offset, why = s.skipped})
    else
      set_step(enrollment, step, {state = 'scheduled', due = s.due, offset = s.offset, next = s.due})
      wake(enrollment, step, s.due)
      open = true
    end
  end
  dirty('enrollment', enrollment)
  return open
end

-- Let the enrollment wait for the one that holds its group, until an instant at most.
local function queue_enrollment(enrollment, steps, ends)
  redis.call('HSET', enrollment_key(enrollment), 'steps', '', 'plan', cjson.encode(steps), 'queued_until',
    int(ends))
  enter(enrollment, 'queued')
  dirty('enrollment', enrollment)
end

-- The queued enrollment of the contact and group that came first and may begin, or nil. One whose Pause is ticked in
-- Notion may not.
local function next_queued(contact, group)
  local found, first
  for _, enrollment in ipairs(redis.call('SMEMBERS', 'eg:enrollments:' .. contact)) do
    local e = fields(enrollment_key(enrollment), 'state', 'group', 'kind', 'created', 'queued_until')
    local waits = e.state == 'queued' and e.group == group and tonumber(e.queued_until) > now
    if waits and not suppressed(contact, e.kind) and redis.call('SISMEMBER', 'eg:ticked', enrollment) == 0 then
      local at = tonumber(e.created)
      if not first or at < first or at == first and enrollment < found then found, first = enrollment, at end
    end
  end
  return found
end

-- The group is free: the next queued enrollment begins, and its delays count from now.
local function start_next(contact, group)
  local enrollment = next_queued(contact, group)
  if not enrollment then return end
  local key = enrollment_key(enrollment)
  local steps = cjson.decode(redis.call('HGET', key, 'plan'))
  for _, s in ipairs(steps) do s.due = s.sent or now + s.offset end
  redis.call('HDEL', key, 'plan', 'queued_until')
  redis.call('HSET', key, 'anchor', int(now))
  start_enrollment(enrollment, steps)
end
