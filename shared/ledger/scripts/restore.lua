-- @include base outbox gate wakeups lists suppression queue erasure lifecycle ranks contacts
-- Restore a person, and one of their enrollments, from Notion. Keeps true: an enrollment that already exists stays as
-- it is, and so does a number that was given before; no enrollment for a suppressed contact, one active enrollment per
-- contact and group; what was sent is never sent again, and no email id stands for two emails. An enrollment that began
-- after the loss, while the fence kept this ledger from sending, counts as never begun: it makes way for the lost
-- enrollment of its key or group, which comes back whole, and keeps what a person or an exit decided meanwhile; if the
-- lost one was over and allows re-entry, the new one gets the next number.
-- ARGV[2]: {contact, fields, page, reason}; with {dry: {lost (the fence will be on), gone (what was discarded before),
-- held (the group is taken)}} it only reports what would become of it; if there is an enrollment {run: {id, key,
-- number, slug, kind, reentry, what, page, anchor}}, what: finished · tracking · active · paused · queued; for the
-- latter three also {group, created, exits (reasons that end it), paused_at, queued_until, ticked, steps: [{number,
-- offset, due, state, sent, by, id, why, note, reports: {delivered: ms, …}, page}]}.
-- Returns {what became of the enrollment, its state and why, [steps that a person skipped], [discarded enrollments],
-- the one that was renumbered or '', its new id or ''}. What: restored · ended (the state is how) · marked · tracked ·
-- exists · blocked · suppressed, or contact if there is none.
local a = cjson.decode(ARGV[2])
local r, dry = a.run or {}, a.dry or {}
local contact = 'eg:contact:' .. a.contact
local UNSURE = '?'  -- a page that may exist: the recorder looks it up first
local lost = dry.lost or fenced() ~= nil
local gone, looks = {}, {}  -- what was discarded; how often each step of the enrollment had been looked at by then
for _, run in ipairs(dry.gone or {}) do gone[run] = true end

local function numbered(number) return r.key .. '-' .. int(number) end
local function number_of(run) return tonumber(string.match(run, '%d+$')) end
local function there(run) return not gone[run] and redis.call('EXISTS', enrollment_key(run)) == 1 end

local function remember()
  local known, proved, unproved = fields(contact, 'proved', 'unproved'), a.fields.proved, a.fields.unproved
  a.fields.proved, a.fields.unproved = nil, nil
  for name, value in pairs(a.fields) do
    local beats = listed(known.unproved, name) and not listed(unproved, name)  -- a form that came in after the loss
    if beats or redis.call('HEXISTS', contact, name) == 0 then
      redis.call('HSET', contact, name, value)
      known.unproved = without(known.unproved, name)
      if listed(proved, name) then known.proved = with(known.proved, name) end
      if listed(unproved, name) then known.unproved = with(known.unproved, name) end
    end
  end
  for rank, list in pairs(known) do
    if list == ',' then redis.call('HDEL', contact, rank) else redis.call('HSET', contact, rank, list) end
  end
  if a.page then redis.call('HSETNX', contact, 'page', a.page) else dirty('contact', a.contact) end
  if a.reason and redis.call('HEXISTS', contact, a.reason) == 0 then suppress(a.contact, a.reason, 'restore') end
end

-- Whether this ledger has tried nothing of the enrollment: it came in after the loss, and its fate is decided here.
local function never_began(run)
  if not lost or redis.call('HGET', enrollment_key(run), 'request_id') == 'restored' then return false end
  for _, step in ipairs(steps_in_order(run)) do
    local s, v = step_of(run, step), redis.call('HMGET', enrollment_key(run), step .. '.by', step .. '.retries')
    local by_us = s.state == 'sent' and v[1] ~= 'website'
    if by_us or s.state == 'sending' or s.state == 'failed' or s.state == 'in-doubt' then return false end
    if s.attempts > 0 or s.posted or v[2] then return false end
  end
  return true
end

-- The enrollments of the key that came in after the loss, the earliest first; nil if any other enrollment has the key.
local function since_the_loss(given)
  local list = {}
  for number = 0, given do
    local run = numbered(number)
    if there(run) then
      if not never_began(run) then return nil end
      list[#list + 1] = run
    end
  end
  return list
end

-- What ended the enrollment after the loss, or nil: the end of the one that took its place, or an exit that found none.
local function ended(stand_in)
  local e = stand_in and fields(enrollment_key(stand_in), 'state', 'why') or {}
  if e.state == 'cancelled' or e.state == 'exited' then return e end
  local first
  for _, reason in ipairs(r.exits) do
    local before = tonumber(redis.call('HGET', 'eg:exits:' .. a.contact, reason) or '-1')
    if r.created <= before and (not first or before < first) then
      first, e = before, {state = 'exited', why = reason}
    end
  end
  local missed = fields('eg:meeting:' .. string.match(r.key, '%x+$'), 'judged', 'recovery')
  if not first and missed.judged and not missed.recovery then
    e = {state = 'cancelled', why = 'the no-show was taken back'}
  end
  return e.why and e or nil
end

-- Whether any of its emails is still to go; if none is, it comes back completed, and was completed before the loss.
local function waits()
  for _, s in ipairs(r.steps or {}) do
    if s.state == 'scheduled' then return true end
  end
  return false
end

-- What becomes of an enrollment with waiting emails: as recorded in Notion, and as decided since about the one that
-- took its place.
local function bring_back(plan, stand_in, e)
  if e then
    plan.what, plan.state, plan.why = 'ended', e.state, e.why
    return
  end
  if r.what == 'queued' then  -- it takes no place
    plan.what = 'restored'
    plan.state = 'queued'
    return
  end
  local other = r.group and redis.call('HGET', contact, 'group.' .. r.group)
  if other == stand_in or other and (gone[other] or not is_open(other)) then other = nil end
  if dry.held or other and not never_began(other) then
    plan.what = 'blocked'
    return
  end
  -- without the loss, the old one would have kept it out
  if other then plan.thrown[#plan.thrown + 1] = other end
  plan.what = 'restored'
  plan.state = r.what
  for _, new in ipairs({stand_in or false, other or false}) do
    local paused_at = new and redis.call('HGET', enrollment_key(new), 'paused_at')
    if plan.state == 'active' and paused_at then plan.state, r.paused_at = 'paused', tonumber(paused_at) end
  end
  for _, s in ipairs(r.steps) do
    local new = stand_in and s.state == 'scheduled' and step_of(stand_in, int(s.number)) or {}
    if new.state == 'skipped' then
      s.state, s.why = 'skipped', new.why
      plan.skipped[#plan.skipped + 1] = s.number
    end
  end
end

local function decide()
  local plan = {what = 'contact', state = '', why = '', skipped = {}, thrown = {}}
  if not a.run then return plan end
  local given = tonumber(redis.call('HGET', 'eg:runs', r.key) or '0')
  while given > 0 and gone[numbered(given)] do given = given - 1 end
  if r.what == 'tracking' then
    plan.what = (given > 0 or there(r.id)) and 'exists' or 'tracked'
    plan.row_of = given > 0 and numbered(given) or r.id
    return plan
  end
  local new = since_the_loss(given)
  if not new or given >= r.number and not there(numbered(r.number)) then
    plan.what = 'exists'
    return plan
  end
  local last, stand_in = new[#new], new[1]
  if stand_in and number_of(stand_in) == 0 then stand_in = new[2] end
  local e = waits() and ended(stand_in) or nil
  -- in these cases the last one came after its end
  local over = not waits() or stand_in and e and (stand_in ~= last or is_open(stand_in))
  local because = r.kind and suppressed(a.contact, r.kind)
    or a.reason and (a.reason ~= 'unsubscribed' or r.kind == 'marketing')
  if stand_in and over and r.reentry == 'when-finished' and not because then
    plan.again = last
    if number_of(last) <= r.number then plan.new_id = numbered(r.number + 1) end
  end
  for _, run in ipairs(new) do
    if run ~= plan.again then plan.thrown[#plan.thrown + 1] = run end
  end
  if r.what == 'finished' then
    plan.what = 'marked'
  elseif because then
    plan.what = 'suppressed'
  elseif waits() then
    bring_back(plan, stand_in, e)
  else
    plan.what = 'restored'
    plan.state = 'completed'
  end
  return plan
end

-- Take the enrollment off the counts.
local function untally(run)
  local e, last = fields(enrollment_key(run), 'state', 'why'), '0'
  if number_of(run) > 0 and e.state ~= 'queued' then tally(run, 'enrolled', -1) end
  for _, step in ipairs(steps_in_order(run)) do
    local state = step_of(run, step).state
    if state == 'cancelled' or state == 'skipped' then tally(run, step .. '.' .. state, -1) end
    if state == 'sent' then last = step end
  end
  if e.state == 'exited' and LEAVING[e.why] then tally(run, last .. '.' .. e.why, -1) end
end

-- Discard the enrollment as if it had never come in: its number is free again, too.
local function throw_away(run)
  local e = fields(enrollment_key(run), 'contact', 'group')
  local key, number = string.match(run, '^(.+)%-(%d+)$')
  untally(run)
  if e.group and redis.call('HGET', 'eg:contact:' .. e.contact, 'group.' .. e.group) == run then
    redis.call('HDEL', 'eg:contact:' .. e.contact, 'group.' .. e.group)
  end
  redis.call('SREM', 'eg:enrollments:' .. e.contact, run)
  redis.call('SREM', 'eg:ticked', run)
  for _, step in ipairs(run == r.id and steps_in_order(run) or {}) do looks[step] = step_of(run, step).look end
  if redis.call('HGET', 'eg:runs', key) == number then
    if number == '1' then
      redis.call('HDEL', 'eg:runs', key)
    else
      redis.call('HSET', 'eg:runs', key, int(number - 1))
    end
  end
  erase_enrollment(run)
end

-- Give the enrollment another id: none of its emails was sent, so none is known by the old id.
local function renumber(run, new)
  local e = fields(enrollment_key(run), 'state', 'contact', 'group')
  local steps = steps_in_order(run)
  for _, step in ipairs(steps) do
    erase_step(run, step)
    set_step(run, step, {page = false})
  end
  untell(OUTBOX, 'enrollment:' .. run)
  unlist_enrollment(run)
  redis.call('HDEL', enrollment_key(run), 'page')
  redis.call('RENAME', enrollment_key(run), enrollment_key(new))
  redis.call('SREM', 'eg:ticked', run)
  redis.call('SREM', 'eg:enrollments:' .. e.contact, run)
  redis.call('SADD', 'eg:enrollments:' .. e.contact, new)
  local group = e.group and 'group.' .. e.group
  if group and redis.call('HGET', 'eg:contact:' .. e.contact, group) == run then
    redis.call('HSET', 'eg:contact:' .. e.contact, group, new)
  end
  enter(new, e.state)
  for _, step in ipairs(steps) do
    local s = step_of(new, step)
    if s.state == 'sent' then dirty('email', email_id(new, step)) end
    if s.state == 'scheduled' and e.state == 'active' then wake(new, step, s.next) end
  end
  dirty('enrollment', new)
end

local function track()
  redis.call('HSET', enrollment_key(r.id), 'slug', r.slug, 'kind', r.kind, 'contact', a.contact, 'state', 'tracking',
    'anchor', int(r.anchor), 'request_id', 'restored', 'steps', '', 'page', r.page)
end

local plan = decide()

local function create(state)
  local key, order = enrollment_key(r.id), {}
  for i, s in ipairs(r.steps) do order[i] = int(s.number) end
  redis.call('HSET', key, 'slug', r.slug, 'kind', r.kind, 'contact', a.contact, 'anchor', int(r.anchor),
    'created', int(r.created), 'request_id', 'restored', 'steps', table.concat(order, ','), 'page', r.page)
  if r.group then redis.call('HSET', key, 'group', r.group) end
  redis.call('SADD', 'eg:enrollments:' .. a.contact, r.id)
  if r.ticked then redis.call('SADD', 'eg:ticked', r.id) end
  if state == 'queued' then
    queue_enrollment(r.id, r.steps, r.queued_until)
    if not is_open(redis.call('HGET', contact, 'group.' .. r.group)) then start_next(a.contact, r.group) end
    return
  end
  enter(r.id, state)
  if state == 'paused' then redis.call('HSET', key, 'paused_at', int(r.paused_at)) end
  if r.group and plan.what == 'restored' and waits() then redis.call('HSET', contact, 'group.' .. r.group, r.id) end
  tally(r.id, 'enrolled')
  local ended_badly, open = {}, false
  for _, s in ipairs(r.steps) do
    local step, decided = int(s.number), s.state == 'sent' or s.state == 'skipped'
    set_step(r.id, step, {state = decided and s.state or 'scheduled', due = s.due, offset = s.offset,
      next = not decided and s.due or nil, sent = s.sent, by = s.by, id = s.id, why = s.why, note = s.note,
      page = s.state ~= 'scheduled' and (s.page or UNSURE) or s.page,
      look = looks[step]})
    set_step(r.id, step, s.reports or {})
    if s.state == 'sent' then tally(r.id, step .. '.sent') end
    if s.state == 'sent' and not s.page then dirty('email', email_id(r.id, step)) end
    if s.state == 'failed' or s.state == 'in-doubt' then ended_badly[#ended_badly + 1] = s end
  end
  for _, s in ipairs(ended_badly) do end_step(r.id, int(s.number), s.state, {why = s.why, next = false}) end
  for _, s in ipairs(r.steps) do
    if s.state == 'scheduled' then
      open = true
      if state == 'active' then wake(r.id, int(s.number), s.due) end
    end
  end
  dirty('enrollment', r.id)
  if not open and is_open(r.id) then end_enrollment(r.id, 'completed') end
end

local answer = {plan.what, plan.state, plan.why or '', plan.skipped, plan.thrown, plan.new_id and plan.again or '',
  plan.new_id or ''}
if a.dry then return answer end
if plan.what ~= 'exists' then mark() end
for _, run in ipairs(plan.thrown) do throw_away(run) end
if plan.new_id then renumber(plan.again, plan.new_id) end
if a.fields then remember() end
if plan.what == 'tracked' then track() end
if lost and plan.row_of and there(plan.row_of) then
  redis.call('HSETNX', enrollment_key(plan.row_of), 'page', r.page)
end
if plan.what == 'contact' or plan.what == 'tracked' or plan.what == 'exists' then return answer end
redis.call('HSET', 'eg:runs', r.key, plan.again and string.match(plan.new_id or plan.again, '%d+$') or int(r.number))
if plan.what == 'restored' then create(plan.state == 'completed' and 'active' or plan.state) end
if plan.what == 'ended' then
  create('active')
  stop_enrollment(r.id, plan.state, plan.why)
end
return answer
