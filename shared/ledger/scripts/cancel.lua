#!lua flags=allow-oom
-- @include base lifecycle
-- End an enrollment permanently. Keeps true: from here on, none of its steps is claimed or passes its last look.
-- ARGV[2]: {enrollment, why}.
-- Returns the enrollment's state, or '' if there is none.
local a = cjson.decode(ARGV[2])
if is_open(a.enrollment) then stop_enrollment(a.enrollment, 'cancelled', a.why) end
return redis.call('HGET', enrollment_key(a.enrollment), 'state') or ''
