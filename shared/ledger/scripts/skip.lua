#!lua flags=allow-oom
-- @include base outbox lifecycle
-- Skip a step, for a reason. Keeps true: no request for a `skipped` step leaves any more; a request that was posted and
-- whose outcome is open continues, unless it ended in doubt and a person decides; what may have been sent is marked as
-- such, and a later proof still makes it `sent`.
-- ARGV[2]: {enrollment, step, why, ended (by a person's decision: also one that ended failed or in doubt)}.
-- Returns the step's state.
local a = cjson.decode(ARGV[2])
local step = tostring(a.step)
local s = step_of(a.enrollment, step)
local unsent = s.state == 'scheduled' or s.state == 'sending' and not s.posted
local given_up = a.ended and (s.state == 'failed' or s.state == 'in-doubt')

-- The frozen body is never posted again; the members of its batch stay known.
if given_up and s.frozen then
  redis.call('HDEL', frozen_key(s.frozen), 'body')
end
if unsent or given_up then
  local again = redis.call('HGET', enrollment_key(a.enrollment), step .. '.anew')
  local doubtful = s.state == 'in-doubt' or again
  end_step(a.enrollment, step, 'skipped', {why = a.why .. (doubtful and '; it may have been sent' or '')})
  if a.ended then dirty('email', email_id(a.enrollment, step)) end  -- a restore must know about a person's decision
end
return step_of(a.enrollment, step).state
