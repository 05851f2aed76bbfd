-- @include base rq_jobs outbox wakeups lists
-- Erase an enrollment: from here on, nothing of it is looked at, reported or listed.

-- Remove an entry that was to be reported. Returns how many were removed: one, or none.
local function untell(list, member)
  redis.call('HDEL', list .. ':versions', member)
  redis.call('HDEL', list .. ':failures', member)
  redis.call('SREM', list .. ':incomplete', member)
  return redis.call('ZREM', list, member)
end

-- Erase its jobs that wait on the queue or are listed as failed; the scheduled wake-up is erased with the step. A job
-- that runs right now finds nothing.
local function erase_jobs(id, look)
  for number = look, math.max(look - 1, 0), -1 do
    local job = id .. '-' .. int(number)
    if redis.call('LREM', QUEUE, 0, job) + redis.call('ZREM', 'rq:failed:send', job) > 0 then
      redis.call('DEL', 'rq:job:' .. job)
    end
  end
end

-- Returns how many requests to the provider and how many entries to report were erased with it.
local function erase_step(enrollment, step)
  local id, s = email_id(enrollment, step), step_of(enrollment, step)
  close_step(enrollment, step)
  erase_jobs(id, tonumber(s.look))
  redis.call('ZREM', DOUBTS, id)
  return s.frozen and redis.call('DEL', frozen_key(s.frozen)) or 0, untell(OUTBOX, 'email:' .. id)
end

-- Returns the same for all its steps and itself.
local function erase_enrollment(enrollment)
  local requests, notes = 0, untell(OUTBOX, 'enrollment:' .. enrollment)
  for _, step in ipairs(steps_in_order(enrollment)) do
    local r, n = erase_step(enrollment, step)
    requests, notes = requests + r, notes + n
  end
  unlist_enrollment(enrollment)
  redis.call('DEL', enrollment_key(enrollment))
  return requests, notes
end
