-- @include base wakeups
-- Look at a step later, because no worker could look now. Keeps true: only a step of an active enrollment that waits
-- for its wake-up is moved, and its due time stays.
-- ARGV[2]: {enrollment, step, wait}.
-- Returns the instant of the wake-up, or ''.
local a = cjson.decode(ARGV[2])
local step = tostring(a.step)
local s = step_of(a.enrollment, step)
local run = redis.call('HGET', enrollment_key(a.enrollment), 'state')
if run ~= 'active' or s.state ~= 'scheduled' or s.next > now then return '' end
wake(a.enrollment, step, now + a.wait)
return int(now + a.wait)
