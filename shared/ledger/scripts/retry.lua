-- @include base outbox wakeups lists suppression lifecycle
-- Retry a step that ended failed or in doubt, because a person decided so. Keeps true: what may have been accepted is
-- repeated as it was while the provider remembers it; afterwards only if the person says `anew`, which is recorded; a
-- finished enrollment is reopened only if its group is free.
-- ARGV[2]: {enrollment, step, anew}.
-- Returns {'' or why not}.
local a = cjson.decode(ARGV[2])

-- Why an enrollment may not continue, or nil.
local function obstacle(enrollment)
  local e = fields(enrollment_key(enrollment), 'state', 'kind', 'contact', 'group')
  local over = e.state == 'completed' or e.state == 'failed'
  if e.state ~= 'active' and not over then return 'the enrollment is ' .. (e.state or 'forgotten') end
  local why = suppressed(e.contact, e.kind)
  if why then return 'the contact is suppressed: ' .. why end
  local other = over and e.group
    and redis.call('HGET', 'eg:contact:' .. e.contact, 'group.' .. e.group)
  if other and other ~= enrollment and is_open(other) then
    return 'the contact is in another campaign of the same group'
  end
end

-- The other emails of an enrollment that ended because of the address are due again as they were.
local function reopen(enrollment)
  local key = enrollment_key(enrollment)
  local e = fields(key, 'state', 'contact', 'group')
  if e.state == 'active' then return end
  enter(enrollment, 'active')
  redis.call('HDEL', key, 'ended', 'why')
  for _, step in ipairs(steps_in_order(enrollment)) do
    local s = step_of(enrollment, step)
    if s.state == 'cancelled' then
      set_step(enrollment, step, {state = 'scheduled', next = s.due, why = false})
      wake(enrollment, step, s.due)
    end
  end
  redis.call('PERSIST', key)
  if e.group then redis.call('HSET', 'eg:contact:' .. e.contact, 'group.' .. e.group, enrollment) end
  dirty('enrollment', enrollment)
end

-- All emails of the request, if all are in doubt and may go, and the provider still remembers it; else nil.
local function repeatable(s)
  if s.state ~= 'in-doubt' or not s.frozen or not s.posted or now >= s.posted + WINDOW then return nil end
  local frozen, list = hash(frozen_key(s.frozen)), {}
  if not frozen.body then return nil end
  for member in string.gmatch(frozen.members, '[^,]+') do
    local enrollment, step = parse_email_id(member)
    local other = step_of(enrollment, step)
    if other.state ~= 'in-doubt' or other.frozen ~= s.frozen or obstacle(enrollment) then return nil end
    list[#list + 1] = {enrollment, step}
  end
  return list
end

local function open_again(enrollment, step, changes)
  reopen(enrollment)
  unlist(enrollment, step)
  set_step(enrollment, step, changes)
  dirty('email', email_id(enrollment, step))
  dirty('enrollment', enrollment)
  wake(enrollment, step, now)
end

local step = tostring(a.step)
local s = step_of(a.enrollment, step)
if not s.state then return {'there is no such step'} end
if s.state ~= 'failed' and s.state ~= 'in-doubt' then return {'the step is ' .. s.state} end
local why = obstacle(a.enrollment)
if why then return {why} end
local at_odds = redis.call('HEXISTS', enrollment_key(a.enrollment), step .. '.conflict') == 1
local members = not (a.anew and at_odds) and repeatable(s) or nil
if members then
  for _, m in ipairs(members) do
    open_again(m[1], m[2], {state = 'sending', next = now, lease = false, forced = '1'})
  end
elseif s.state == 'failed' or a.anew then
  redis.call('HINCRBY', enrollment_key(a.enrollment), step .. '.retries', 1)
  open_again(a.enrollment, step, {state = 'scheduled', next = now, attempts = 0, posted = false, frozen = false,
    ambiguous = false, lease = false, alerted = false, conflict = false, forced = '1', solo = '1',
    anew = s.state == 'in-doubt' and '1' or nil})
else
  return {'it may have been sent already and can no longer be repeated safely; say so if it shall be sent as new'}
end
return {''}
