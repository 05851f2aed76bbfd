-- @include base outbox wakeups suppression
-- Send a step now, because a person decided so: before its time, and ahead of its turn. Keeps true: only a waiting step
-- of an active enrollment moves, and nothing goes to a suppressed contact.
-- ARGV[2]: {enrollment, step}.
-- Returns {'' or why not}.
local a = cjson.decode(ARGV[2])
local step = tostring(a.step)
local e = fields(enrollment_key(a.enrollment), 'state', 'kind', 'contact')
local s = step_of(a.enrollment, step)
if not s.state then return {'there is no such step'} end
if s.state ~= 'scheduled' then return {'the step is ' .. s.state} end
if e.state ~= 'active' then return {'the enrollment is ' .. e.state} end
local why = suppressed(e.contact, e.kind)
if why then return {'the contact is suppressed: ' .. why} end
set_step(a.enrollment, step, {next = now, forced = '1'})
wake(a.enrollment, step, now)
dirty('enrollment', a.enrollment)
return {''}
