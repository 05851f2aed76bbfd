-- @include base rq_jobs gate wakeups
-- Move due wake-ups from the schedule to the queue. Keeps true: nothing is released early; each wake-up that leaves the
-- schedule is on the queue, is back at its later time, waits for an earlier step to end, or is not needed; one bad
-- entry does not stop the others; two schedulers may call this at once.
-- ARGV[2]: the maximum number of entries.
-- Returns {released, dropped, milliseconds until the next is due or ''}.
local limit = tonumber(ARGV[2])
local TICK = 'eg:tick'

-- what goes to the queue's head, to its end, and from when the sweeper looks for it
local ahead, queue, open = {}, {}, {}

local function sweep_from(at, enrollment, step)
  open[#open + 1] = int(at)
  open[#open + 1] = email_id(enrollment, step)
end

local function look_at(job)
  local enrollment, step, look = parse_job_id(job)
  if not enrollment then return 'dropped' end
  local v = redis.call('HMGET', enrollment_key(enrollment), 'state', step .. '.state', step .. '.look',
    step .. '.next', 'kind')
  if not is_looked_at(v[1], v[2]) or v[3] ~= look then return 'dropped' end
  if tonumber(v[4]) > now then
    schedule(job, tonumber(v[4]))
    sweep_from(tonumber(v[4]), enrollment, step)
    return 'moved'
  end
  sweep_from(now + LEASE, enrollment, step)
  -- what may have been accepted is repeated in any case
  if v[2] == 'scheduled' and held_up(enrollment, step) then return 'dropped' end
  -- pcall: it may be of the wrong type; nothing may fail after the ZREM below, the first write
  local new = redis.pcall('HSET', 'rq:job:' .. job, 'status', 'queued', 'enqueued_at', date)
  if new ~= 1 then write_job(job, enrollment, step, 'queued') end  -- it was not in the form written for the schedule
  local list = v[5] == 'transactional' and ahead or queue
  list[#list + 1] = job
  return 'released', email_id(enrollment, step)
end

if math.abs(now - tonumber(redis.call('GET', TICK) or '0')) >= 1000 then
  mark()
  redis.call('SET', TICK, int(now))
end
local held = gate()
if shut(held) then return {0, 0, held.till and int(held.till - now) or ''} end

local count = {released = 0, dropped = 0, moved = 0}
local due = redis.call('ZRANGEBYSCORE', SCHEDULED, '-inf', string.format('%.3f', now / 1000), 'LIMIT', 0,
  held and 1 or limit)
if #due > 0 then redis.call('ZREM', SCHEDULED, unpack(due)) end
for _, job in ipairs(due) do
  -- An enrollment may be of the wrong type.
  -- pcall: nothing may fail after the ZREM, and what is dropped is still on OPEN
  local fine, what, id = pcall(look_at, job)
  if not fine then what = 'dropped' end
  count[what] = count[what] + 1
  if what == 'dropped' then redis.call('DEL', 'rq:job:' .. job) end
  if held and what == 'released' then redis.call('HSET', GATE, 'probe', id, 'until', int(now + LEASE)) end
end
if #open > 0 then redis.call('ZADD', OPEN, unpack(open)) end
if count.released > 0 then redis.call('SADD', 'rq:queues', QUEUE) end
if #ahead > 0 then redis.call('LPUSH', QUEUE, unpack(ahead)) end
if #queue > 0 then redis.call('RPUSH', QUEUE, unpack(queue)) end
local first = redis.call('ZRANGE', SCHEDULED, 0, 0, 'WITHSCORES')
return {count.released, count.dropped, first[2] and int(math.max(math.ceil(first[2] * 1000) - now, 0)) or ''}
