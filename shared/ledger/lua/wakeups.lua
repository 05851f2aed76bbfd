-- @include base rq_jobs gate
-- When a step is looked at next, and which steps must wait for an earlier one. Every open step is on the list OPEN,
-- scored by that instant.

local OPEN = 'eg:open'

-- Whether a step needs wake-ups, by its enrollment's state and its own: it has not ended, and is not waiting in a
-- paused enrollment.
local function is_looked_at(run, state) return state == 'scheduled' and run == 'active' or state == 'sending' end

-- Put the wake-up of a step on the queue; the sweeper finds the step again if the job gets lost.
local function enqueue(job, enrollment, step)
  push(job, enrollment, step)
  redis.call('ZADD', OPEN, int(now + LEASE), email_id(enrollment, step))
end

-- Set the step's next wake-up to `at`; a wake-up that was scheduled before is void.
local function wake(enrollment, step, at)
  local key, id = enrollment_key(enrollment), email_id(enrollment, step)
  local look = redis.call('HINCRBY', key, step .. '.look', 1)
  if look > 1 then unschedule(id .. '-' .. int(look - 1)) end
  local job = id .. '-' .. int(look)
  if at <= now and not gate() then return enqueue(job, enrollment, step) end
  write_job(job, enrollment, step, 'scheduled')
  schedule(job, at)
  redis.call('ZADD', OPEN, int(at), id)
end

-- The step needs no more wake-ups.
local function close_step(enrollment, step)
  local id = email_id(enrollment, step)
  local look = redis.call('HGET', enrollment_key(enrollment), step .. '.look')
  redis.call('ZREM', OPEN, id)
  if look then unschedule(id .. '-' .. look) end
end

local function steps_in_order(enrollment)
  local list = {}
  for step in string.gmatch(redis.call('HGET', enrollment_key(enrollment), 'steps') or '', '%d+') do
    list[#list + 1] = step
  end
  return list
end

-- Whether an earlier step of the enrollment must go first. Its end wakes this one. A step that a person wants sent now
-- waits for nothing.
local function held_up(enrollment, step)
  local key, earlier = enrollment_key(enrollment), {}
  local v = redis.call('HMGET', key, 'steps', step .. '.forced')
  if v[2] then return false end
  for other in string.gmatch(v[1] or '', '%d+') do
    if other == step then break end
    earlier[#earlier + 1] = other .. '.state'
  end
  for _, state in ipairs(#earlier > 0 and redis.call('HMGET', key, unpack(earlier)) or {}) do
    if state == 'scheduled' or state == 'sending' then return true end
  end
  return false
end
