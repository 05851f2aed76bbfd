-- @include base outbox wakeups
-- Find the open steps of some enrollments that are on no list, so nothing would ever look at them, and put them back.
-- Keeps true: no step is forgotten, regardless of what took it off the list; one that is on it, has ended, or waits in
-- a paused enrollment stays as it is; without `repair`, nothing changes.
-- ARGV[2]: {enrollments: [id…], repair}.
-- Returns the email ids found.
local a = cjson.decode(ARGV[2])
local found = {}

local function open_steps(enrollment)
  local key = enrollment_key(enrollment)
  if not is_hash(key) then return {} end
  local steps, names, open = steps_in_order(enrollment), {'state'}, {}
  for i, step in ipairs(steps) do names[i + 1] = step .. '.state' end
  local states = redis.call('HMGET', key, unpack(names))
  for i, step in ipairs(steps) do
    if is_looked_at(states[1], states[i + 1]) then open[#open + 1] = step end
  end
  return open
end

for _, enrollment in ipairs(a.enrollments) do
  local open, emails = open_steps(enrollment), {}
  for i, step in ipairs(open) do emails[i] = email_id(enrollment, step) end
  local looks = #open > 0 and redis.call('ZMSCORE', OPEN, unpack(emails))
  for i, step in ipairs(open) do
    if not looks[i] then
      found[#found + 1] = emails[i]
      if a.repair then
        wake(enrollment, step, step_of(enrollment, step).next or now)
        alert('unlisted', emails[i])
      end
    end
  end
end
return found
