-- @include base outbox wakeups
-- Move an enrollment's anchor, and with it the steps that were never tried. Keeps true: a step that is sending, was
-- tried or is wanted now stays where it is; a change based on an older anchor does nothing.
-- ARGV[2]: {enrollment, from, to, dues: {number: due}}.
-- Returns 1, or 0 if the anchor moved meanwhile.
local a = cjson.decode(ARGV[2])
local key = enrollment_key(a.enrollment)
if tonumber(redis.call('HGET', key, 'anchor')) ~= a.from then return 0 end
redis.call('HSET', key, 'anchor', int(a.to))
for step, due in pairs(a.dues) do
  local s = step_of(a.enrollment, step)
  if s.state == 'scheduled' and s.attempts == 0 and not s.forced then
    set_step(a.enrollment, step, {due = due, next = due})
    if redis.call('HGET', key, 'state') == 'active' then wake(a.enrollment, step, due) end
  end
end
dirty('enrollment', a.enrollment)
return 1
