-- @include base rq_jobs outbox gate wakeups lists queue lifecycle holding
-- Find open steps whose wake-up is overdue, and look again at those that were also overdue a pass ago. Keeps true: no
-- step is forgotten, even if a job, a worker or a registry was lost; it leaves the list of open steps only if its
-- enrollment is gone, or if the ledger says that it needs no wake-up. So nothing here may swallow an error: a full
-- Redis refuses the wake-up, but would accept the removal.
-- ARGV[2]: {grace, suspects, limit, queue_short}.
-- Returns {overdue ids, how many were woken}.
local a = cjson.decode(ARGV[2])

-- A queued enrollment ends when its wait is over. If its group is free, the next begins, even if what ended the other
-- one knew nothing of queues.
local function look_at_queued(enrollment)
  local key = enrollment_key(enrollment)
  local e = is_hash(key) and fields(key, 'state', 'contact', 'group', 'queued_until') or {}
  if e.state ~= 'queued' then return redis.call('ZREM', WAITING, enrollment) end
  if tonumber(e.queued_until) <= now then return end_enrollment(enrollment, 'cancelled', WAITED) end
  if not is_open(redis.call('HGET', 'eg:contact:' .. e.contact, 'group.' .. e.group)) then
    start_next(e.contact, e.group)
  end
end

-- Enrollments that are no longer kept leave the lists, a few at a time.
for _, enrollment in ipairs(redis.call('ZRANDMEMBER', 'eg:recent', 20)) do
  if redis.call('EXISTS', enrollment_key(enrollment)) == 0 then unlist_enrollment(enrollment) end
end
for _, id in ipairs(redis.call('ZRANDMEMBER', DOUBTS, 20)) do
  local enrollment, step = parse_email_id(id)
  if not is_hash(enrollment_key(enrollment)) or step_of(enrollment, step).state ~= 'in-doubt' then
    redis.call('ZREM', DOUBTS, id)
  end
end
-- RQ lists a job only after it has failed: by then, a report may have settled its email.
for _, job in ipairs(redis.call('ZRANDMEMBER', 'rq:failed:send', 20)) do
  local enrollment, step = parse_job_id(job)
  local s = enrollment and is_hash(enrollment_key(enrollment)) and step_of(enrollment, step) or {}
  if s.state == 'sent' or s.state == 'skipped' then unlist(enrollment, step) end
end
if redis.call('ZCOUNT', OUTBOX, '-inf', int(now)) > 0 then record_soon() end
drop_expired()
for _, enrollment in ipairs(redis.call('ZRANGE', WAITING, 0, 19)) do look_at_queued(enrollment) end
for _, enrollment in ipairs(redis.call('ZRANDMEMBER', WAITING, 20)) do look_at_queued(enrollment) end
if shut(gate()) then return {{}, 0} end
ask_if_ready()
if redis.call('LLEN', QUEUE) > a.queue_short then return {{}, 0} end

local suspect, woken, overdue = {}, 0, {}
for _, id in ipairs(a.suspects) do suspect[id] = true end

local function sweep(id)
  local enrollment, step = parse_email_id(id)
  if not enrollment or not is_hash(enrollment_key(enrollment)) then return redis.call('ZREM', OPEN, id) end
  local v = redis.call('HMGET', enrollment_key(enrollment), 'state', step .. '.state', step .. '.look')
  if not is_looked_at(v[1], v[2]) then return redis.call('ZREM', OPEN, id) end
  local scheduled = redis.call('ZSCORE', SCHEDULED, id .. '-' .. (v[3] or ''))
  if scheduled then return end
  if suspect[id] then
    wake(enrollment, step, now)
    woken = woken + 1
  else
    overdue[#overdue + 1] = id
  end
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', OPEN, '-inf', int(now - a.grace), 'LIMIT', 0, a.limit)) do sweep(id) end
return {overdue, woken}
