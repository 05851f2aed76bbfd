-- A contact must get no more email: all of it, or marketing. Keeps true: from here on no step is claimed for it; one that is being sent
-- right now ends as it ends. ARGV[2]: {contact, reason (bounced, complained, unsubscribed, manual)}. Returns how many runs ended by it.
local a = cjson.decode(ARGV[2])
redis.call('HSETNX', 'eg:contact:' .. a.contact, a.reason, int(now))
redis.call('ZADD', 'eg:suppressed', 'NX', int(now), a.contact)
dirty('contact', a.contact)
local ended = 0
for _, enrollment in ipairs(redis.call('SMEMBERS', 'eg:enrollments:' .. a.contact)) do
  if is_open(enrollment) and suppressed(a.contact, redis.call('HGET', enrollment_key(enrollment), 'kind')) then
    stop_run(enrollment, 'exited', a.reason)
    ended = ended + 1
  end
end
return ended
