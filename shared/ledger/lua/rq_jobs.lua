-- @include base
-- Jobs in the form of RQ and rq-scheduler, on the queue and on the schedule: a job only says "look at this step now".

local SLOW_JOB = 300  -- seconds; recording and alerting wait for their turns at Notion and Discord
local JOB_TIMEOUT = $JOB_TIMEOUT  -- seconds
local SCHEDULED, QUEUE = 'rq:scheduler:scheduled_jobs', 'rq:queue:send'

-- RQ's date format (rq.utils.utcformat), from civil_from_days: https://howardhinnant.github.io/date_algorithms.html
local function rq_date(ms)
  local days, rest = math.floor(ms / 86400000), ms % 86400000
  local z = days + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local day, month = doy - math.floor((153 * mp + 2) / 5) + 1, mp < 10 and mp + 3 or mp - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%03d000Z', year, month, day, math.floor(rest / 3600000),
    math.floor(rest / 60000) % 60, math.floor(rest / 1000) % 60, rest % 1000)
end

local date = rq_date(now)

-- A job in RQ's form (rq.job.Job.restore, JSON serializer); `call` is the function and its arguments.
local function write_rq_job(job, queue, status, timeout, call, description)
  redis.call('DEL', 'rq:job:' .. job)  -- a key of the wrong type must not stop the others
  redis.call('HSET', 'rq:job:' .. job, 'data', call, 'origin', queue, 'status', status, 'timeout', timeout,
    'result_ttl', 0, 'failure_ttl', int(KEEP_FINISHED / 1000), 'created_at', date, 'description', description)
  if status == 'queued' then redis.call('HSET', 'rq:job:' .. job, 'enqueued_at', date) end
end

-- The wake-up of a step: the job only says "look at this step now".
local function write_job(job, enrollment, step, status)
  local call = '["scheduler.jobs.send_step", null, ["' .. enrollment .. '", ' .. step .. '], {}]'
  write_rq_job(job, 'send', status, JOB_TIMEOUT, call, 'send step ' .. step .. ' of ' .. enrollment)
end

-- Have a worker run the job that the queue is named after; one waiting job is enough.
local function soon(name, description)
  local queue = 'rq:queue:' .. name
  if redis.call('LLEN', queue) > 0 then return end
  mark()
  local job = name .. '-' .. int(redis.call('INCR', 'eg:jobs'))
  write_rq_job(job, name, 'queued', SLOW_JOB, '["scheduler.jobs.' .. name .. '", null, [], {}]', description)
  redis.call('SADD', 'rq:queues', queue)
  redis.call('RPUSH', queue, job)
end
local function record_soon() soon('record', 'carry the outbox to Notion') end

-- Put a wake-up on the queue; a transactional one goes ahead of all others.
local function push(job, enrollment, step)
  write_job(job, enrollment, step, 'queued')
  redis.call('SADD', 'rq:queues', QUEUE)
  local first = redis.call('HGET', enrollment_key(enrollment), 'kind') == 'transactional'
  redis.call(first and 'LPUSH' or 'RPUSH', QUEUE, job)
end

local function schedule(job, at) redis.call('ZADD', SCHEDULED, string.format('%.3f', at / 1000), job) end

-- Cancel a scheduled wake-up. One that is on the queue, or running, finds out for itself.
local function unschedule(job)
  if redis.call('ZREM', SCHEDULED, job) == 1 then redis.call('DEL', 'rq:job:' .. job) end
end
