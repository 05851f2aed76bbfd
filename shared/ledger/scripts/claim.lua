-- @include base rq_jobs gate wakeups lifecycle contacts first_emails turns clocks
-- Claim a step for sending, and up to `batch` others if more are ready than can go one by one. Keeps true: one holder
-- per step; nothing is claimed early, out of order, twice, from an inactive enrollment, for a suppressed address or
-- behind the gate; a request that may have been accepted is repeated only as it was, with the same members, to the same
-- account, and while the provider remembers it by its own clock. The turn at the provider is planned here, so that no
-- claim waits for one; the last look takes it.
-- ARGV[2]: {enrollment, step, token, late: {slug: ms}, ignore_late, fenced (the fence must be on), rate (0: as
-- learned), longest_wait, batch (0: none), batch_above (0: by the rate), account (a digest of the provider's key), date
-- (the provider's time; 0: it was asked, and did not say)}
-- Returns {'claimed', wait, turn, [item…], frozen request id or '', frozen body or '', whether the provider must be
-- asked for its time (1 or 0), whether the frozen one is a permissive batch (1 or 0)} with item = [enrollment, step,
-- slug, request_id, [contact…], values, retries], or {what, until or '', why or '', the step's state or ''} with what:
-- gone · done (with its state) · not-yet · waits · closed · pace · late (until is its due time) · unheard (ask the
-- provider for its time, and claim again).
local a = cjson.decode(ARGV[2])
local rate = rate_of('resend', a.rate)
local batch_above = a.batch_above > 0 and a.batch_above or math.min(rate, 20)

-- An email that was due before this ledger took over from another copy may have gone out already: it goes alone, under
-- the key by which the provider would recognize it.
local UNHEARD_WAIT = 60000
local taken_over = tonumber(redis.call('HGET', FENCE, 'taken_over') or '0')

local function stop(what, till, why, state) return {what, till and int(till) or '', why or '', state or ''} end

local function done()
  local s = step_of(a.enrollment, a.step)
  return stop('done', nil, s.why, s.state)
end

local function late(enrollment, s)
  local e = fields(enrollment_key(enrollment), 'slug', 'catch_up')
  local after = a.late[e.slug]
  return after and not e.catch_up and not s.forced and not s.posted and s.attempts == 0 and now - s.due > after
end

-- When the next email of an enrollment that is catching up may go: at most one a day per person, regardless of what
-- held it back.
local function too_soon(enrollment, s)
  local e = fields(enrollment_key(enrollment), 'catch_up', 'contact')
  local last = e.catch_up and not s.forced and redis.call('HGET', 'eg:contact:' .. e.contact, 'last_sent')
  return last and last + e.catch_up > now and last + e.catch_up or nil
end

-- First emails to unproved addresses wait until a person decides.
local FIRST_WAITS = 60000
local function is_stopped_first(enrollment)
  return first_emails_stopped() and is_first_email(redis.call('HGET', enrollment_key(enrollment), 'contact'))
end

local function take(enrollment, step, unsure)
  set_step(enrollment, step, {state = 'sending', next = now + LEASE, lease = a.token,
    ambiguous = unsure and '1' or nil})
  redis.call('ZADD', OPEN, int(now + LEASE), email_id(enrollment, step))
  local e = fields(enrollment_key(enrollment), 'slug', 'request_id', 'contact', 'values', step .. '.retries')
  return {enrollment, tonumber(step), e.slug, e.request_id or '', redis.call('HGETALL', 'eg:contact:' .. e.contact),
    e.values or '{}', tonumber(e[step .. '.retries'] or '0')}
end

-- Only a person can tell what became of them.
local function doubt(members, why, stopped)
  doubt_all(members, why, stopped, email_id(a.enrollment, a.step))
  return done()
end

local function repeat_frozen(s, id)
  local frozen = hash(frozen_key(s.frozen))
  if not frozen.body or now >= s.posted + WINDOW then
    return doubt({id}, 'the outcome was not learned within the window for repeating it')
  end
  local members, items = {}, {}
  for member in string.gmatch(frozen.members, '[^,]+') do members[#members + 1] = member end
  if a.account and frozen.account and frozen.account ~= a.account then
    return doubt(members, "the provider's key was changed before the outcome was learned")
  end
  local now_ahead = ahead_now()
  if not now_ahead and a.date then  -- it was asked, and did not say
    wake(a.enrollment, a.step, now + UNHEARD_WAIT)
    return stop('not-yet', now + UNHEARD_WAIT)
  elseif not now_ahead then
    return stop('unheard')
  elseif frozen.first and may_be_forgotten(tonumber(frozen.first), now_ahead) then  -- an earlier release stored none
    return doubt(members, 'the provider may have forgotten the first request, by its own clock')
  end
  for _, member in ipairs(members) do
    local why = barrier(parse_email_id(member))
    if why then return doubt(members, why, member) end
    local enrollment, step = parse_email_id(member)
    if step_of(enrollment, step).state ~= 'sending' then
      return doubt(members, 'another email of its batch was decided without it')
    end
  end
  local at, longer = turn('resend', rate, a.longest_wait)
  if not at then
    wake(a.enrollment, a.step, now + longer - a.longest_wait)
    return stop('pace', now + longer)
  end
  for i, member in ipairs(members) do
    local enrollment, step = parse_email_id(member)
    items[i] = take(enrollment, step, true)
  end
  return {'claimed', at - now, at, items, s.frozen, frozen.body, 0, frozen.permissive and 1 or 0}
end

-- Others from the head of the queue that may go with the first, as many as each of them may go with. A job whose step
-- needs no wake-up any more, or will be woken by an earlier one, is dropped; the rest go back in their order.
local function fill(items, most)
  local back = {}
  for _, job in ipairs(redis.call('LPOP', QUEUE, a.batch) or {}) do
    local enrollment, step = parse_job_id(job)
    local known, s = pcall(step_of, enrollment, step)  -- an entry that is not ours must not stop the others
    if not known then s = nil end
    local ready = s and s.state == 'scheduled' and s.next <= now
    local fits = math.min(most, s and s.most or most)
    local fresh = ready and #items < fits and s.due >= taken_over and s.attempts == 0
    local kept = fresh and (held_up(enrollment, step) or barrier(enrollment)
      or late(enrollment, s) or too_soon(enrollment, s) or is_stopped_first(enrollment))
    if fresh and not kept then
      most = fits
      items[#items + 1] = take(enrollment, step)
      redis.call('DEL', 'rq:job:' .. job)
    elseif s and (ready and held_up(enrollment, step)
      or (s.state == 'scheduled' or s.state == 'sending') and s.next > now) then
      redis.call('DEL', 'rq:job:' .. job)
    else
      back[#back + 1] = job
    end
  end
  for i = #back, 1, -1 do redis.call('LPUSH', QUEUE, back[i]) end
end

-- A batch has its own key, by which the provider recognizes none of its emails. So there is no batch while another copy
-- of this ledger may still be sending: after a start or a takeover, until our word was renewed and a lease has passed.
local function batch_allowed()
  local v = redis.call('HMGET', FENCE, 'on', 'steady')
  return a.batch > 0 and (not v[1] or v[2] and tonumber(v[2]) <= now)
end

local function claim()
  local enrollment, step = a.enrollment, tostring(a.step)
  local id, s = email_id(enrollment, step), step_of(enrollment, step)
  if not s.state then return stop('gone') end
  if s.state ~= 'scheduled' and s.state ~= 'sending' then return done() end
  if s.next > now then
    if s.state == 'scheduled' and not barrier(enrollment) then wake(enrollment, step, s.next) end
    return stop('not-yet', s.next)
  end
  if s.state == 'sending' and not s.posted then  -- its holder died before posting: as if it had never been claimed
    set_step(enrollment, step, {state = 'scheduled', lease = false})
    s.state = 'scheduled'
  end
  local unsure = s.state == 'sending'
  if not unsure then
    local why = barrier(enrollment)
    if why and redis.call('HGET', enrollment_key(enrollment), 'state') == 'paused' then
      close_step(enrollment, step)
      return done()
    elseif why then
      end_step(enrollment, step, 'skipped', {why = why})
      return done()
    end
  end
  -- a new Redis: it must first be confirmed that it is the only one
  if a.fenced and redis.call('HEXISTS', FENCE, 'on') == 0 then
    wake(enrollment, step, now + 2000)
    return stop('closed', now + 2000, 'waiting for the fence')
  end
  local held = gate()
  if held and held.probe ~= id then
    wake(enrollment, step, now)
    return stop('closed', held.till, held.reason)
  end
  if unsure then return repeat_frozen(s, id) end
  if held_up(enrollment, step) then
    redis.call('ZADD', OPEN, int(now + LEASE), id)
    return stop('waits')
  end
  local later = too_soon(enrollment, s)
  if later then
    set_step(enrollment, step, {next = later})
    wake(enrollment, step, later)
    return stop('not-yet', later)
  end
  if is_stopped_first(enrollment) then
    wake(enrollment, step, now + FIRST_WAITS)
    return stop('closed', now + FIRST_WAITS, 'first emails to unproved addresses are stopped')
  end
  if not a.ignore_late and late(enrollment, s) then return stop('late', s.due) end
  local at, longer = turn('resend', rate, a.longest_wait)
  if not at then
    wake(enrollment, step, now + longer - a.longest_wait)
    return stop('pace', now + longer)
  end
  local items = {take(enrollment, step)}
  local alone = s.attempts > 0 or s.most == 1 or s.due < taken_over or held
  if not alone and redis.call('LLEN', QUEUE) >= batch_above and batch_allowed() then
    fill(items, s.most or a.batch + 1)
  end
  return {'claimed', at - now, at, items, '', '', should_ask() and 1 or 0, 0}
end

if a.date and a.date > 0 then hear(a.date) end
return claim()
