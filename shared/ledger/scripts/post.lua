-- @include base turns
-- The last look before a request leaves. Keeps true: only the holder of a lease posts, with time enough to learn the
-- outcome; a request is frozen before its first post and never changes while it may have been accepted; attempts are
-- counted when they are made; no second has more requests than the rate.
-- ARGV[2]: {token, members, request, spare, turn, rate}; ARGV[3]: the request's body.
-- Returns {now, milliseconds until its turn, 1 where that is another turn and it must be asked again, else 0}, or {}
-- when the request must not be posted.
local a = cjson.decode(ARGV[2])

for _, id in ipairs(a.members) do
  local enrollment, step = parse_email_id(id)
  local s = step_of(enrollment, step)
  if s.state ~= 'sending' or s.lease ~= a.token or now + a.spare > s.next then return {} end
  if s.posted and now >= s.posted + WINDOW then return {} end
end
local wait, again = take_turn('resend', rate_of('resend', a.rate), a.turn)
if again then return {now, wait, 1} end
local key = frozen_key(a.request)
if redis.call('EXISTS', key) == 0 then
  redis.call('HSET', key, 'body', ARGV[3], 'members', table.concat(a.members, ','))
  redis.call('PEXPIRE', key, 86400000)
end
for _, id in ipairs(a.members) do
  local enrollment, step = parse_email_id(id)
  local s = step_of(enrollment, step)
  set_step(enrollment, step, {posted = s.posted or now, attempts = s.attempts + 1, frozen = a.request})
end
return {now, wait, 0}
