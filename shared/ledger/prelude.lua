-- What all decisions share. It stands before each script; ARGV[1] is the time (tests), or '' for the server's own.
-- Instants are whole milliseconds since 1970 UTC. A step's fields in its enrollment's hash are `<number>.<field>`:
--   state, due, offset; next (not before this instant: due, retry, or the end of a lease); look (counts its wake-ups);
--   attempts; lease (who holds it); posted (first post whose outcome is not a sure refusal); ambiguous (an outcome was never learned);
--   frozen (the request that was posted); solo (must not join a batch); sent, by, id, why.

local SLOW_JOB = 300  -- seconds; recording and telling wait for their turns at Notion and Discord
local KEEP_ALERT = 7 * 86400000
local LEASE, WINDOW, KEEP_FINISHED, JOB_TIMEOUT, AHEAD = $LEASE, $WINDOW, $KEEP_FINISHED, $JOB_TIMEOUT, $AHEAD

local OUTBOX, NOTICES = 'eg:outbox', 'eg:notices'
local OPEN, SCHEDULED, QUEUE, GATE, TICK, FENCE = 'eg:open', 'rq:scheduler:scheduled_jobs', 'rq:queue:send', 'eg:gate', 'eg:tick', 'eg:fence'

local function clock()
  if ARGV[1] ~= '' then return tonumber(ARGV[1]) end
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
local now = clock()

local function int(value) return string.format('%d', value) end
local function enrollment_key(enrollment) return 'eg:enrollment:' .. enrollment end
local function email_id(enrollment, step) return enrollment .. '-' .. step end
local function frozen_key(request) return 'eg:frozen:' .. request end
local function parse_email_id(id) return string.match(id, '^(.+)%-(%d+)$') end
local function parse_job_id(id) return string.match(id, '^(.+)%-(%d+)%-(%d+)$') end

-- A hash as a table.
local function hash(key)
  local flat, map = redis.call('HGETALL', key), {}
  for i = 1, #flat, 2 do map[flat[i]] = flat[i + 1] end
  return map
end

-- Some fields of a hash as a table; an absent field is nil.
local function fields(key, ...)
  local names, map = {...}, {}
  local values = redis.call('HMGET', key, ...)
  for i = 1, #names do map[names[i]] = values[i] or nil end
  return map
end

local function step_of(enrollment, step)
  local s = tostring(step) .. '.'
  local v = redis.call('HMGET', enrollment_key(enrollment), s .. 'state', s .. 'due', s .. 'next', s .. 'look', s .. 'attempts',
    s .. 'lease', s .. 'posted', s .. 'ambiguous', s .. 'frozen', s .. 'solo', s .. 'why', s .. 'forced')
  return {state = v[1] or nil, due = tonumber(v[2]), next = tonumber(v[3]), look = v[4] or '0', attempts = tonumber(v[5]) or 0,
    lease = v[6] or nil, posted = tonumber(v[7]), ambiguous = v[8] == '1', frozen = v[9] or nil, solo = v[10] == '1', why = v[11] or nil, forced = v[12] == '1'}
end

-- Set fields of a step; false removes one.
local function set_step(enrollment, step, changes)
  local key, set, gone = enrollment_key(enrollment), {}, {}
  for name, value in pairs(changes) do
    local field = step .. '.' .. name
    if value == false then
      gone[#gone + 1] = field
    else
      set[#set + 1] = field
      set[#set + 1] = type(value) == 'number' and int(value) or value
    end
  end
  if #set > 0 then redis.call('HSET', key, unpack(set)) end
  if #gone > 0 then redis.call('HDEL', key, unpack(gone)) end
end

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
  redis.call('DEL', 'rq:job:' .. job)  -- a key of a wrong type must not stop the others
  redis.call('HSET', 'rq:job:' .. job, 'data', call, 'origin', queue, 'status', status, 'timeout', timeout, 'result_ttl', 0,
    'failure_ttl', int(KEEP_FINISHED / 1000), 'created_at', date, 'description', description)
  if status == 'queued' then redis.call('HSET', 'rq:job:' .. job, 'enqueued_at', date) end
end

-- A look at a step: the job's only word is "look at this step now".
local function write_job(job, enrollment, step, status)
  write_rq_job(job, 'send', status, JOB_TIMEOUT, '["scheduler.jobs.send_step", null, ["' .. enrollment .. '", ' .. step .. '], {}]',
    'send step ' .. step .. ' of ' .. enrollment)
end

-- Have a worker run the job after which the queue is named; one waiting job is enough.
local function soon(name, description)
  local queue = 'rq:queue:' .. name
  if redis.call('LLEN', queue) > 0 then return end
  local job = name .. '-' .. int(redis.call('INCR', 'eg:jobs'))
  write_rq_job(job, name, 'queued', SLOW_JOB, '["scheduler.jobs.' .. name .. '", null, [], {}]', description)
  redis.call('SADD', 'rq:queues', queue)
  redis.call('RPUSH', queue, job)
end
local function record_soon() soon('record', 'carry the outbox to Notion') end

-- The owner must be told at once of `lead:<contact>` or `alert:<cause>`.
local function notice(member, at)
  redis.call('HINCRBY', NOTICES .. ':versions', member, 1)
  redis.call('ZADD', NOTICES, 'NX', int(at), member)
  soon('notify', 'tell the owner')
end

-- Something is wrong: told once an hour and cause, with how often it came and the latest of it.
local function alert(cause, detail)
  local key = 'eg:alert:' .. cause
  redis.call('HINCRBY', key, 'count', 1)
  redis.call('HSET', key, 'detail', detail)
  redis.call('PEXPIRE', key, KEEP_ALERT)
  notice('alert:' .. cause, math.max(now, tonumber(redis.call('HGET', key, 'quiet') or '0')))
end

-- Something changed that Notion must be told of: kind is contact, enrollment or email. It is told the state that it finds then, so that
-- ten changes become one. Enrollments go ahead of details that changed in the last minute.
local function dirty(kind, id)
  local member = kind .. ':' .. id
  redis.call('HINCRBY', 'eg:outbox:versions', member, 1)
  redis.call('ZADD', OUTBOX, 'NX', int(kind == 'enrollment' and now - 60000 or now), member)
  record_soon()
end

local function push(job, enrollment, step)
  write_job(job, enrollment, step, 'queued')
  redis.call('SADD', 'rq:queues', QUEUE)
  local first = redis.call('HGET', enrollment_key(enrollment), 'kind') == 'transactional'
  redis.call(first and 'LPUSH' or 'RPUSH', QUEUE, job)
end

-- Put a look at a step on the queue; the sweeper finds the step again should the job get lost.
local function enqueue(job, enrollment, step)
  push(job, enrollment, step)
  redis.call('ZADD', OPEN, int(now + LEASE), email_id(enrollment, step))
end

local function schedule(job, at) redis.call('ZADD', SCHEDULED, string.format('%.3f', at / 1000), job) end

-- A scheduled look is void. One that is on the queue, or running, is left to find out for itself.
local function unschedule(job)
  if redis.call('ZREM', SCHEDULED, job) == 1 then redis.call('DEL', 'rq:job:' .. job) end
end

-- Why this copy of the ledger may not send, or nil: where the fence is on, this very start of Redis must have been confirmed in Notion.
local function fenced()
  local v = redis.call('HMGET', FENCE, 'on', 'server', 'why')
  if not v[1] or v[2] and string.find(redis.call('INFO', 'server'), 'run_id:' .. v[2], 1, true) then return nil end
  return 'fenced: ' .. (v[3] or 'waiting for a first answer from Notion')
end

-- The gate that holds all sending back, or nil. Past its time, release lets a single step through as a probe; an accepted email opens it.
local function gate()
  local v = redis.call('HMGET', GATE, 'reason', 'until', 'probe')
  if v[1] then return {reason = v[1], till = tonumber(v[2]), probe = v[3]} end
  local why = fenced()
  return why and {reason = why} or nil
end
local function shut(held) return held and (not held.till or held.till > now) end

-- The step's next look is at `at`; a look that was scheduled before is void.
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

-- The step needs no more looks.
local function close_step(enrollment, step)
  local id = email_id(enrollment, step)
  local look = redis.call('HGET', enrollment_key(enrollment), step .. '.look')
  redis.call('ZREM', OPEN, id)
  if look then unschedule(id .. '-' .. look) end
end

local function steps_in_order(enrollment)
  local list = {}
  for step in string.gmatch(redis.call('HGET', enrollment_key(enrollment), 'steps') or '', '%d+') do list[#list + 1] = step end
  return list
end

-- Whether an earlier step of the run must go first. Its end wakes this one. What a person wants sent now waits for nothing.
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

-- Count what happened to a campaign's emails, for the console's funnel.
local function tally(enrollment, name)
  local slug = redis.call('HGET', enrollment_key(enrollment), 'slug')
  if slug then redis.call('HINCRBY', 'eg:tally:' .. slug, name, 1) end
end

-- Where lists find a run: all, a campaign's, those in a state, and a campaign's in a state; the latest first.
local STATES = {'active', 'paused', 'completed', 'exited', 'cancelled'}
local function slug_of(enrollment) return string.match(enrollment, '^(.+)%-%x+%-%d+$') or '' end
local function list_names(enrollment, state)
  return 'eg:in:' .. state, 'eg:in:' .. state .. ':' .. slug_of(enrollment)
end

-- The list of a contact's runs lasts as long as the last of them.
local function keep_runs(contact)
  local list = 'eg:enrollments:' .. contact
  for _, enrollment in ipairs(redis.call('SMEMBERS', list)) do
    local state = redis.call('HGET', enrollment_key(enrollment), 'state')
    if state == 'active' or state == 'paused' then return redis.call('PERSIST', list) end
    if not state then redis.call('SREM', list, enrollment) end
  end
  redis.call('PEXPIRE', list, KEEP_FINISHED)
end

-- What the outbox named has been told; the time for which a finished run is kept begins then.
local function told(member)
  redis.call('HDEL', 'eg:outbox:failures', member)
  local enrollment = string.match(member, '^enrollment:(.+)$')
  if enrollment and redis.call('HEXISTS', enrollment_key(enrollment), 'ended') == 1 then
    redis.call('PEXPIRE', enrollment_key(enrollment), KEEP_FINISHED)
    keep_runs(redis.call('HGET', enrollment_key(enrollment), 'contact'))
  end
end

-- The run is in another state now.
local function enter(enrollment, state)
  local key = enrollment_key(enrollment)
  local before = redis.call('HGET', key, 'state')
  if before then
    for _, list in ipairs({list_names(enrollment, before)}) do redis.call('ZREM', list, enrollment) end
  end
  redis.call('HSET', key, 'state', state)
  local created = redis.call('HGET', key, 'created') or int(now)
  redis.call('ZADD', 'eg:recent', created, enrollment)
  redis.call('ZADD', 'eg:of:' .. slug_of(enrollment), created, enrollment)
  for _, list in ipairs({list_names(enrollment, state)}) do redis.call('ZADD', list, created, enrollment) end
  local contact = redis.call('HGET', key, 'contact')
  if state == 'active' or state == 'paused' then redis.call('PERSIST', 'eg:enrollments:' .. contact) else keep_runs(contact) end
end

-- No list holds the run any more.
local function unlist_run(enrollment)
  redis.call('ZREM', 'eg:recent', enrollment)
  redis.call('ZREM', 'eg:of:' .. slug_of(enrollment), enrollment)
  for _, state in ipairs(STATES) do
    for _, list in ipairs({list_names(enrollment, state)}) do redis.call('ZREM', list, enrollment) end
  end
end

-- The run is over: its group is free, and it is kept for a while.
local function end_run(enrollment, state, why)
  local key = enrollment_key(enrollment)
  local e = fields(key, 'contact', 'group')
  enter(enrollment, state)
  redis.call('HSET', key, 'ended', int(now))
  if why then redis.call('HSET', key, 'why', why) end
  local contact = 'eg:contact:' .. e.contact
  if e.group and redis.call('HGET', contact, 'group.' .. e.group) == enrollment then redis.call('HDEL', contact, 'group.' .. e.group) end
  redis.call('PEXPIRE', key, KEEP_FINISHED)
  dirty('enrollment', enrollment)
end

-- A step has come to its end: the next due one may go, or the run is complete.
local function advance(enrollment)
  local key = enrollment_key(enrollment)
  if redis.call('HGET', key, 'state') ~= 'active' then return end
  local open = false
  for _, step in ipairs(steps_in_order(enrollment)) do
    local v = redis.call('HMGET', key, step .. '.state', step .. '.next')
    if v[1] == 'scheduled' or v[1] == 'sending' then
      if v[1] == 'scheduled' and tonumber(v[2]) <= now then wake(enrollment, step, now) end
      open = true
      break
    end
  end
  if not open then end_run(enrollment, 'completed') end
end

-- Off RQ's failed list, whichever look is on it: nobody needs to look at the step any more.
local function unlist(enrollment, step)
  for look = 1, tonumber(step_of(enrollment, step).look) do
    local job = email_id(enrollment, step) .. '-' .. int(look)
    if redis.call('ZREM', 'rq:failed:send', job) == 1 then redis.call('DEL', 'rq:job:' .. job) end
  end
end

-- End a step as `state`. What was frozen is kept only where the outcome is unknown: a person may want it repeated as it was.
-- A failure must end in RQ's failed list: where its own job is not the one at work (`at_work`), a new one is queued, which will raise.
local function end_step(enrollment, step, state, changes, at_work)
  changes.state, changes.lease, changes.solo, changes.forced = state, false, false, false
  if state == 'in-doubt' then
    changes.ambiguous = '1'
  else
    local request = redis.call('HGET', enrollment_key(enrollment), step .. '.frozen')
    if request then redis.call('DEL', frozen_key(request)) end
    changes.posted, changes.frozen, changes.ambiguous = false, false, false
  end
  local before = redis.call('HGET', enrollment_key(enrollment), step .. '.state')
  if state == 'sent' and (before == 'failed' or before == 'in-doubt') then unlist(enrollment, step) end
  set_step(enrollment, step, changes)  -- `accepted` may be said twice
  if before ~= state then tally(enrollment, step .. '.' .. state) end
  close_step(enrollment, step)
  dirty('enrollment', enrollment)
  if state == 'sent' or state == 'failed' or state == 'in-doubt' then dirty('email', email_id(enrollment, step)) end
  if state == 'failed' or state == 'in-doubt' then
    alert(state, email_id(enrollment, step) .. ': ' .. (changes.why or 'no reason given'))
    if at_work ~= email_id(enrollment, step) then
      local look = redis.call('HINCRBY', enrollment_key(enrollment), step .. '.look', 1)
      push(email_id(enrollment, step) .. '-' .. int(look), enrollment, step)
    end
  end
  advance(enrollment)
end

-- End a run before its time. What is being sent right now ends as it ends. Why people leave is counted under the last email they got.
local LEAVING = {booked = true, client = true, unsubscribed = true}
local function stop_run(enrollment, state, why)
  end_run(enrollment, state, why)
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
  return state == 'active' or state == 'paused'
end

-- Whether the contact may not get this kind of email, and why.
local function suppressed(contact, kind)
  local v = redis.call('HMGET', 'eg:contact:' .. contact, 'bounced', 'complained', 'manual', 'unsubscribed')
  if v[1] then return 'bounced' end
  if v[2] then return 'complained' end
  if v[3] then return 'suppressed by hand' end
  if v[4] and kind == 'marketing' then return 'unsubscribed' end
  return nil
end

-- Count what may be done `most` times in a window, which begins with the first. Returns the milliseconds until it may be done again, 0: now.
local function wait_after(limit)
  local key = 'eg:limit:' .. limit.key
  local count = redis.call('INCR', key)
  if count == 1 then redis.call('PEXPIRE', key, int(limit.window)) end
  return count > limit.most and math.max(redis.call('PTTL', key), 1) or 0
end

-- How many requests a second a provider takes: as set, else as it last said itself, else 2.
local function rate_of(provider, set)
  return set > 0 and set or tonumber(redis.call('GET', 'eg:rate:' .. provider) or '2')
end

-- The latest turns at a provider, the earliest first; some may be yet to come, but none by much unless the clock was set back.
local TURNS = 50
local function turns_at(provider)
  local turns = {}
  for at in string.gmatch(redis.call('GET', 'eg:turns:' .. provider) or '', '%d+') do
    if tonumber(at) < now + 10000 then turns[#turns + 1] = tonumber(at) end
  end
  return turns
end

local function keep_turns(provider, turns)
  table.sort(turns)
  if #turns > TURNS then table.remove(turns, 1) end
  for i, at in ipairs(turns) do turns[i] = int(at) end
  redis.call('SET', 'eg:turns:' .. provider, table.concat(turns, ','), 'PX', 60000)
end

-- Take a turn out of the list; nothing where it is too old to be there.
local function drop_turn(turns, planned)
  for i, at in ipairs(turns) do
    if at == planned then return table.remove(turns, i) end
  end
end

-- How many turns may be taken at once, and the milliseconds after which these come again: a second's turns (of more than ten, a share that
-- comes several times a second) after a second, and 1.5 % more, so that no jitter squeezes one too many into the provider's window.
local function spacing(rate)
  local groups = math.max(math.ceil(rate / 10), 1)
  return math.max(math.floor(rate / groups), 1), 1015 / math.min(groups, rate)
end

-- A turn at a provider, after all others: the instant (it is then ours), or nil and how long it would be when that is longer than `longest`.
local function turn(provider, rate, longest)
  local turns, at_once, apart = turns_at(provider), spacing(rate)
  local before = turns[#turns - at_once + 1]
  local at = math.max(now, tonumber(redis.call('GET', 'eg:hold:' .. provider) or '0'), before and math.ceil(before + apart) or 0)
  if at - now > longest then return nil, at - now end
  turns[#turns + 1] = at
  keep_turns(provider, turns)
  return at
end

-- Whether a turn has room among those that were taken or come before it. What is taken lies at most AHEAD in the future; others yield.
local function fits(turns, at, at_once, apart)
  local all = {at}
  for _, other in ipairs(turns) do
    if other <= at + AHEAD then all[#all + 1] = other end
  end
  table.sort(all)
  for i = 1, #all - at_once do
    if all[i] <= at and at <= all[i + at_once] and all[i + at_once] - all[i] < apart then return false end
  end
  return true
end

-- Take a planned turn, or plan it anew where it is past, or others were moved, so that it has no room. Returns the milliseconds to wait for
-- it, and whether it was planned anew.
local function take_turn(provider, rate, planned)
  local turns, at_once, apart = turns_at(provider), spacing(rate)
  drop_turn(turns, planned)
  local wanted = math.max(planned, now)
  local at = wanted
  for _, other in ipairs(turns) do
    if fits(turns, at, at_once, apart) then break end
    at = math.max(wanted, math.ceil(other + apart))
  end
  turns[#turns + 1] = at
  keep_turns(provider, turns)
  return at - now, at > wanted
end

-- A request left later than its turn was taken.
local function move_turn(provider, taken, left)
  local turns = turns_at(provider)
  if not drop_turn(turns, taken) then return end
  turns[#turns + 1] = left
  keep_turns(provider, turns)
end

-- Nobody is to ask a provider before then.
local function hold(provider, milliseconds)
  local till = math.max(now + milliseconds, tonumber(redis.call('GET', 'eg:hold:' .. provider) or '0'))
  redis.call('SET', 'eg:hold:' .. provider, int(till), 'PX', int(till - now + 1))
end
