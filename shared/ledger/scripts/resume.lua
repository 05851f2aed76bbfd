-- @include base outbox wakeups lists lifecycle
-- Resume a paused enrollment. Keeps true: every step that was not sent is open again, at the time it is given; a step
-- before a meeting never moves, and is skipped if its time has passed; a step that a person wanted now goes now; an
-- order for another pause does nothing.
-- ARGV[2]: {enrollment, paused_at, anchor, dues: {number: due}, nexts: {number: next}, catch_up (milliseconds between
-- two emails)}.
-- Returns the enrollment's state, or '' if there is none.
local a = cjson.decode(ARGV[2])
local key = enrollment_key(a.enrollment)
local e = fields(key, 'state', 'paused_at')
if e.state ~= 'paused' or tonumber(e.paused_at) ~= a.paused_at then return e.state or '' end
enter(a.enrollment, 'active')
redis.call('HSET', key, 'anchor', int(a.anchor))
redis.call('HDEL', key, 'paused_at', 'catch_up')
if a.catch_up then redis.call('HSET', key, 'catch_up', int(a.catch_up)) end
for _, step in ipairs(steps_in_order(a.enrollment)) do
  local s = step_of(a.enrollment, step)
  if s.state == 'scheduled' then
    local due = a.dues[step] or s.due
    if tonumber(redis.call('HGET', key, step .. '.offset')) < 0 and due <= now then
      end_step(a.enrollment, step, 'skipped', {why = 'its time passed while it was paused'})
    else
      local next = s.forced and now or math.max(a.nexts[step] or due, now)
      set_step(a.enrollment, step, {due = due, next = next})
      wake(a.enrollment, step, next)
    end
  end
end
dirty('enrollment', a.enrollment)
advance(a.enrollment)
return redis.call('HGET', key, 'state')
