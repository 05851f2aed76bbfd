-- Enroll a contact in a campaign, or only remember it, in one step. Keeps true: one run per key unless re-entry allows another,
-- one active run per contact and group, one effect per idempotency key, no new run for a suppressed address.
-- ARGV[2]: {contact, fields, source, consent, seen, seen_ttl, answer}; where the webhook has a campaign: {key, slug, kind, request_id}; and
-- where the form carries what it requires: {group, reentry, anchor, warning, steps: [{number, offset, due, sent}]}.
-- Returns {what, enrollment or ''}, or {'duplicate', the first answer}.
local a = cjson.decode(ARGV[2])

local contact = 'eg:contact:' .. a.contact

local function remember()
  local flat = {}
  for name, value in pairs(a.fields) do flat[#flat + 1] = name; flat[#flat + 1] = value end
  redis.call('HSET', contact, unpack(flat))
  redis.call('HSETNX', contact, 'source', a.source)
  if a.consent then
    redis.call('HDEL', contact, 'unsubscribed')
    redis.call('HSET', contact, 'consent_at', int(now))
  end
  dirty('contact', a.contact)
end

-- No run, but a row for the owner to see: run 0, which a later run takes over.
local function track()
  if not a.key then return 'tracked', '' end
  local enrollment = a.key .. '-0'
  if redis.call('HEXISTS', 'eg:runs', a.key) == 0 then
    redis.call('HSET', enrollment_key(enrollment), 'slug', a.slug, 'kind', a.kind, 'contact', a.contact, 'state', 'tracking',
      'anchor', int(now), 'request_id', a.request_id, 'steps', '')
    dirty('enrollment', enrollment)
  end
  return 'tracked', ''
end

-- Why there is no new run, and which other one there is; or nothing, and the new run's id.
local function obstacle()
  local run = redis.call('HGET', 'eg:runs', a.key)
  if run then
    local last = a.key .. '-' .. run
    local state = redis.call('HGET', enrollment_key(last), 'state')
    if a.reentry ~= 'when-finished' or state == 'active' or state == 'paused' then return 'exists', last end
  end
  if a.group then
    local other = redis.call('HGET', contact, 'group.' .. a.group)
    local state = other and redis.call('HGET', enrollment_key(other), 'state')
    if state == 'active' or state == 'paused' then return 'blocked', other end
  end
  if suppressed(a.contact, a.kind) then return track() end
  return nil, a.key .. '-' .. int((run or 0) + 1)
end

local function create(enrollment)
  local order = {}
  for i, s in ipairs(a.steps) do order[i] = int(s.number) end
  redis.call('HSET', 'eg:runs', a.key, string.match(enrollment, '%d+$'))
  redis.call('HSET', enrollment_key(enrollment), 'slug', a.slug, 'kind', a.kind, 'contact', a.contact, 'state', 'active',
    'anchor', int(a.anchor), 'created', int(now), 'request_id', a.request_id, 'steps', table.concat(order, ','))
  local tracked = redis.call('HGET', enrollment_key(a.key .. '-0'), 'page')
  if tracked then redis.call('HSET', enrollment_key(enrollment), 'page', tracked) end
  redis.call('DEL', enrollment_key(a.key .. '-0'))
  if a.warning then redis.call('HSET', enrollment_key(enrollment), 'warning', a.warning) end
  if a.group then
    redis.call('HSET', enrollment_key(enrollment), 'group', a.group)
    redis.call('HSET', contact, 'group.' .. a.group, enrollment)
  end
  redis.call('SADD', 'eg:enrollments:' .. a.contact, enrollment)
  local open = false
  for _, s in ipairs(a.steps) do
    local step = int(s.number)
    if s.sent then
      set_step(enrollment, step, {state = 'sent', due = s.due, offset = s.offset, sent = s.sent, by = 'website'})
      dirty('email', email_id(enrollment, step))
    else
      set_step(enrollment, step, {state = 'scheduled', due = s.due, offset = s.offset, next = s.due})
      wake(enrollment, step, s.due)
      open = true
    end
  end
  dirty('enrollment', enrollment)
  if not open then end_run(enrollment, 'completed') end
end

if a.seen then
  local answer = redis.call('GET', 'eg:seen:' .. a.seen)
  if answer then return {'duplicate', answer} end
  redis.call('SET', 'eg:seen:' .. a.seen, a.answer, 'PX', int(a.seen_ttl))
end
remember()
if not a.steps then return {track()} end
local what, enrollment = obstacle()
if not what then
  create(enrollment)
  what = 'enrolled'
end
return {what, enrollment}
