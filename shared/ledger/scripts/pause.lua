#!lua flags=allow-oom
-- @include base outbox wakeups lists
-- Pause an enrollment. Keeps true: from here on, none of its steps is claimed or passes its last look; one that already
-- has is not stopped.
-- ARGV[2]: {enrollment}.
-- Returns the enrollment's state, or '' if there is none.
local a = cjson.decode(ARGV[2])
local key = enrollment_key(a.enrollment)
local state = redis.call('HGET', key, 'state')
if state ~= 'active' then return state or '' end
enter(a.enrollment, 'paused')
redis.call('HSET', key, 'paused_at', int(now))
for _, step in ipairs(steps_in_order(a.enrollment)) do
  if redis.call('HGET', key, step .. '.state') == 'scheduled' then close_step(a.enrollment, step) end
end
dirty('enrollment', a.enrollment)
return 'paused'
