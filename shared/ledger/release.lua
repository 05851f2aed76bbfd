-- Move what is due from the schedule to the queue. Keeps true: nothing is released early, whatever leaves the schedule is either on the
-- queue, back at its later time, waits for an earlier step to end, or needs no look; one bad entry stops no other; two schedulers may call this at once.
-- ARGV[2]: how many entries at most. Returns {released, dropped, milliseconds until the next is due or ''}.
local limit = tonumber(ARGV[2])

local function look_at(job)
  local enrollment, step, look = parse_job_id(job)
  if not enrollment then return 'dropped' end
  local v = redis.call('HMGET', enrollment_key(enrollment), 'state', step .. '.state', step .. '.look', step .. '.next')
  local sendable = v[2] == 'scheduled' and v[1] == 'active' or v[2] == 'sending'
  if not sendable or v[3] ~= look then return 'dropped' end
  if tonumber(v[4]) > now then
    schedule(job, tonumber(v[4]))
    redis.call('ZADD', OPEN, v[4], email_id(enrollment, step))
    return 'moved'
  end
  if held_up(enrollment, step) then
    redis.call('ZADD', OPEN, int(now + LEASE), email_id(enrollment, step))
    return 'dropped'
  end
  enqueue(job, enrollment, step)
  return 'released', email_id(enrollment, step)
end

if math.abs(now - tonumber(redis.call('GET', TICK) or '0')) >= 1000 then redis.call('SET', TICK, int(now)) end
local held = gate()
if shut(held) then return {0, 0, held.till and int(held.till - now) or ''} end

local count = {released = 0, dropped = 0, moved = 0}
local due = redis.call('ZRANGEBYSCORE', SCHEDULED, '-inf', string.format('%.3f', now / 1000), 'LIMIT', 0, held and 1 or limit)
for _, job in ipairs(due) do
  redis.call('ZREM', SCHEDULED, job)
  local fine, what, id = pcall(look_at, job)
  if not fine then what = 'dropped' end
  count[what] = count[what] + 1
  if what == 'dropped' then redis.call('DEL', 'rq:job:' .. job) end
  if held and what == 'released' then redis.call('HSET', GATE, 'probe', id, 'until', int(now + LEASE)) end
end
local first = redis.call('ZRANGE', SCHEDULED, 0, 0, 'WITHSCORES')
return {count.released, count.dropped, first[2] and int(math.max(math.ceil(first[2] * 1000) - now, 0)) or ''}
