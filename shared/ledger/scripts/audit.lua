-- @include base outbox wakeups
-- Find the open steps of some enrollments that are on no list, so that nothing would ever look at them, and put them
-- back. Keeps true: no step is forgotten, whatever took it off the list; one that is on it, has ended, or waits in a
-- paused enrollment stays as it is; whoever only asks changes nothing.
-- ARGV[2]: {enrollments: [id…], repair}.
-- Returns the email ids found.
local a = cjson.decode(ARGV[2])
local found = {}
for _, enrollment in ipairs(a.enrollments) do
  local run = is_hash(enrollment_key(enrollment)) and redis.call('HGET', enrollment_key(enrollment), 'state')
  for _, step in ipairs(run and steps_in_order(enrollment) or {}) do
    local s, id = step_of(enrollment, step), email_id(enrollment, step)
    if is_looked_at(run, s.state) and not redis.call('ZSCORE', OPEN, id) then
      found[#found + 1] = id
      if a.repair then
        wake(enrollment, step, s.next or now)
        alert('unlisted', id)
      end
    end
  end
end
return found
