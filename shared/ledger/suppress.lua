-- A contact must get no more email: all of it, or marketing. Keeps true: from here on no step is claimed for it; one that is being sent
-- right now ends as it ends. ARGV[2]: {contact, reason (bounced, complained, unsubscribed, manual)}. Returns how many runs ended by it.
local a = cjson.decode(ARGV[2])
redis.call('HSET', 'eg:contact:' .. a.contact, a.reason, int(now))
dirty('contact', a.contact)
local ended = 0
for _, enrollment in ipairs(redis.call('SMEMBERS', 'eg:enrollments:' .. a.contact)) do
  local e = fields(enrollment_key(enrollment), 'state', 'kind')
  if (e.state == 'active' or e.state == 'paused') and suppressed(a.contact, e.kind) then
    stop_run(enrollment, 'exited', a.reason)
    ended = ended + 1
  end
end
return ended
