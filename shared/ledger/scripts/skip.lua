-- @include base lifecycle
-- Leave a step out, for a reason. Keeps true: what is sending, or ended, stays as it is.
-- ARGV[2]: {enrollment, step, why}.
-- Returns the step's state.
local a = cjson.decode(ARGV[2])
local step = tostring(a.step)
if step_of(a.enrollment, step).state == 'scheduled' then end_step(a.enrollment, step, 'skipped', {why = a.why}) end
return step_of(a.enrollment, step).state
