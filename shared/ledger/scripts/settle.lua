#!lua flags=allow-oom
-- @include base outbox gate wakeups lifecycle first_emails turns clocks
-- Record how a request ended. Keeps true: what was accepted is `sent`, regardless of source or time; what may have been
-- accepted ends only as `sent` or `in-doubt`; a definite refusal leaves no trace of a post; the next due step of the
-- enrollment goes at once.
-- ARGV[2]: {token, at_work, outcome, members, ids, why, most, others, retry_after, hold, delays, patience, gate,
-- gate_until, rate_seen, turn, left, date} outcome: accepted · refused · rejected · skipped · dissolved · waiting ·
-- failing · ambiguous · conflict. `others` are the members of an accepted batch that ended otherwise: {id: {outcome,
-- why, most}}; `most` is how many emails a batch may have that a dissolved one joins; `delays` are the waits before
-- attempts 2, 3 and all later ones; `hold` holds back every request for that long; `patience` is how long after its due
-- time a step that cannot be written is retried; `turn` is the turn at the provider, and `left` when the request left;
-- `date` is the time by the provider's clock, if it said so.
-- Returns [[id, state, next or '', attempts, why or '']…].
local a = cjson.decode(ARGV[2])
local ending = a  -- of the member that is being settled

local function delay(attempts) return a.delays[math.min(math.max(attempts, 1), #a.delays)] end

local function finish(enrollment, step, state) end_step(enrollment, step, state, {why = ending.why}, a.at_work) end

-- Back to the schedule as if nothing had been posted; in a paused enrollment, to wait until it is resumed. It may join
-- a batch of at most `most` emails (1: none; nil: any).
local function put_back(enrollment, step, s, at, attempts, most)
  local state = redis.call('HGET', enrollment_key(enrollment), 'state')
  if state ~= 'active' and state ~= 'paused' then return finish(enrollment, step, 'cancelled') end
  set_step(enrollment, step, {state = 'scheduled', next = at, lease = false, posted = false, frozen = false,
    attempts = attempts, solo = most or false, why = ending.why})
  if s.frozen then redis.call('DEL', frozen_key(s.frozen)) end
  if state == 'active' then wake(enrollment, step, at) else close_step(enrollment, step) end
end

-- May have been accepted: the same request again, within the window.
local function try_again(enrollment, step, s, at, attempts)
  if at >= s.posted + WINDOW then return finish(enrollment, step, 'in-doubt') end
  set_step(enrollment, step, {next = at, lease = false, ambiguous = '1', why = ending.why, attempts = attempts})
  wake(enrollment, step, at)
end

local decide = {}
function decide.refused(enrollment, step, s) finish(enrollment, step, s.ambiguous and 'in-doubt' or 'failed') end
-- No other email to this address would be taken.
function decide.rejected(enrollment, step, s)
  if not s.ambiguous and is_open(enrollment) then stop_enrollment(enrollment, 'failed', ending.why) end
  decide.refused(enrollment, step, s)
end
function decide.dissolved(enrollment, step, s)
  if s.ambiguous then return finish(enrollment, step, 'in-doubt') end
  put_back(enrollment, step, s, now, s.attempts - 1, ending.most)
end
function decide.waiting(enrollment, step, s)
  local at, attempts = now + a.retry_after, math.max(s.attempts - 1, 0)
  if s.ambiguous then return try_again(enrollment, step, s, at, attempts) end
  put_back(enrollment, step, s, at, attempts, s.most)
end
function decide.failing(enrollment, step, s)
  local attempts = s.attempts + 1
  if now > s.due + a.patience and attempts >= #a.delays then return finish(enrollment, step, 'failed') end
  put_back(enrollment, step, s, now + delay(attempts), attempts, 1)
end
function decide.ambiguous(enrollment, step, s)
  -- no machine slept, and the clock was not set meanwhile
  local soon = a.date and a.left and math.abs(now - a.left) <= SETTLED
  if soon and s.frozen and redis.call('HGET', frozen_key(s.frozen), 'first') == '' then
    redis.call('HSET', frozen_key(s.frozen), 'first', int(a.date))
  end
  local attempts = s.attempts
  local at = attempts < #a.delays and s.posted + delay(attempts) or now + delay(attempts)
  try_again(enrollment, step, s, math.max(at, now + a.retry_after), attempts)
end
function decide.skipped(enrollment, step, s) finish(enrollment, step, s.ambiguous and 'in-doubt' or 'skipped') end
-- its repetition may get the same response: then a person may send it again at once
function decide.conflict(enrollment, step)
  set_step(enrollment, step, {conflict = '1'})
  finish(enrollment, step, 'in-doubt')
end

-- How long after its due time an email was accepted, for the histogram: counted under the upper end of its bucket, in
-- seconds. The provider's report may have come before its response, and said when that was.
local LATENESS = {1, 5, 15, 60, 300, 900, 3600, 21600, 86400}
local function count_lateness(enrollment, step, due)
  local accepted = tonumber(redis.call('HGET', enrollment_key(enrollment), step .. '.sent') or now)
  local late, bucket = math.max(accepted - due, 0), '+Inf'
  for i = #LATENESS, 1, -1 do
    if late <= LATENESS[i] * 1000 then bucket = int(LATENESS[i]) end
  end
  redis.call('HINCRBY', 'eg:lateness', bucket, 1)
  redis.call('HINCRBY', 'eg:lateness', 'sum', int(late))
end

-- A gate without an end was closed by a person, and only a person opens it.
local held = closed_gate()
if a.date then hear(a.date) end
if a.gate and not held then alert('closed', a.gate) end
if a.gate and (not held or held.till) then
  redis.call('HSET', GATE, 'reason', a.gate, 'until', int(a.gate_until), 'probe', '')
end
if a.outcome == 'accepted' and held and held.till then redis.call('DEL', GATE) end
if a.rate_seen and redis.call('GET', 'eg:rate:resend') ~= a.rate_seen then
  redis.call('SET', 'eg:rate:resend', a.rate_seen)
end
if a.left then move_turn('resend', a.turn, a.left) end
if a.hold then hold('resend', a.hold) end
if a.hold then redis.call('HINCRBY', 'eg:counts', 'held', 1) end

local settled, outcomes = {}, {}
for i, id in ipairs(a.members) do
  local enrollment, step = parse_email_id(id)
  local s = step_of(enrollment, step)
  ending = a.others and a.others[id] or a
  outcomes[ending.outcome] = (outcomes[ending.outcome] or 0) + 1
  if ending.outcome == 'accepted' then
    if s.state then
      count_lateness(enrollment, step, s.due)
      local contact = redis.call('HGET', enrollment_key(enrollment), 'contact')
      if is_first_email(contact) then first_email_sent(contact) end
      redis.call('HSET', 'eg:contact:' .. contact, 'last_sent', int(now))
      dirty('contact', contact)
      end_step(enrollment, step, 'sent', {sent = now, by = 'evergreen', id = a.ids[i], why = false, next = false})
    end
  elseif s.state == 'sending' and s.lease == a.token then
    decide[ending.outcome](enrollment, step, s)
  end
  -- Three attempts without success are news for the owner.
  local attempts = ending.outcome ~= 'accepted' and step_of(enrollment, step).attempts or 0
  if attempts >= 3 and redis.call('HSETNX', enrollment_key(enrollment), step .. '.alerted', '1') == 1 then
    alert('retrying', id .. ': ' .. (ending.why or 'no reason given'))
  end
  if attempts >= 3 then
    dirty('email', id)
    dirty('enrollment', enrollment)
  end
  local after = redis.call('HMGET', enrollment_key(enrollment), step .. '.state', step .. '.next', step .. '.attempts',
    step .. '.why')
  settled[i] = {id, after[1] or '', after[2] or '', after[3] or '0', after[4] or ''}
end
for outcome, count in pairs(outcomes) do redis.call('HINCRBY', 'eg:counts', outcome, count) end
return settled
