-- @include base outbox gate wakeups lists lifecycle contacts
-- Put a person back, and one enrollment of theirs, as Notion tells it. Keeps true: an enrollment that is there already
-- stays as it is, and so does a number that was given before; no enrollment for a suppressed contact, one active
-- enrollment per contact and group; what was sent is never sent again. An enrollment that somebody began anew while the
-- fence kept this ledger from sending takes over what was sent before.
-- ARGV[2]: {contact, fields, page, reason, dry (only say what would become of it)} and, where there is an enrollment:
-- {run, key, number, slug, kind, what}, what: finished · tracking · active · paused; for the latter two also {group,
-- anchor, paused_at, ticked, page_of_run, steps: [{number, offset, due, state, sent, by, id, why, note, reports:
-- {delivered: ms, …}, page}]}.
-- Returns what became of the enrollment: restored · marked · tracked · exists · united · blocked · suppressed, or
-- contact where there is none.
local a = cjson.decode(ARGV[2])
local contact = 'eg:contact:' .. a.contact
local UNSURE = '?'  -- a page that may be there: whoever records it looks it up first

local function remember()
  local agreed = redis.call('HEXISTS', contact, 'consent_at') == 1  -- somebody who came back before the restore
  for name, value in pairs(a.fields) do redis.call('HSETNX', contact, name, value) end
  if a.page then redis.call('HSETNX', contact, 'page', a.page) else dirty('contact', a.contact) end
  local lifted = agreed and a.reason == 'unsubscribed'
  if a.reason and not lifted and redis.call('HEXISTS', contact, a.reason) == 0 then suppress(a.contact, a.reason) end
end

local function untouched(step) return step.state == 'scheduled' and step.attempts == 0 end

-- What an enrollment that began again must still learn of the one that was lost.
local function lessons()
  local list = {}
  if not fenced() or not is_open(a.run) then return list end
  for _, s in ipairs(a.steps or {}) do
    if s.state == 'sent' and untouched(step_of(a.run, int(s.number))) then list[#list + 1] = s end
  end
  return list
end

local function never_began()
  for _, step in ipairs(steps_in_order(a.run)) do
    if not untouched(step_of(a.run, step)) then return false end
  end
  return true
end

local function outcome()
  if not a.run then return 'contact' end
  local key = enrollment_key(a.run)
  local given = tonumber(redis.call('HGET', 'eg:runs', a.key) or '-1')
  if a.what == 'tracking' then return (given >= 0 or redis.call('EXISTS', key) == 1) and 'exists' or 'tracked' end
  if given >= a.number or redis.call('EXISTS', key) == 1 then
    local over = a.what == 'finished' and fenced() and is_open(a.run) and never_began()
    return (over or #lessons() > 0) and 'united' or 'exists'
  end
  if a.what == 'finished' then return 'marked' end
  local because = suppressed(a.contact, a.kind)
  if because or a.reason and (a.reason ~= 'unsubscribed' or a.kind == 'marketing') then return 'suppressed' end
  local other = a.group and redis.call('HGET', contact, 'group.' .. a.group)
  return other and is_open(other) and 'blocked' or 'restored'
end

local function unite()
  if a.what == 'finished' then return stop_enrollment(a.run, 'cancelled', 'it had ended before the ledger was lost') end
  if a.page_of_run then redis.call('HSETNX', enrollment_key(a.run), 'page', a.page_of_run) end
  for _, s in ipairs(lessons()) do
    set_step(a.run, int(s.number), {page = s.page or UNSURE})
    end_step(a.run, int(s.number), 'sent', {sent = s.sent, by = s.by, id = s.id, next = false})
  end
end

local function track()
  redis.call('HSET', enrollment_key(a.run), 'slug', a.slug, 'kind', a.kind, 'contact', a.contact, 'state', 'tracking', 'anchor', int(a.anchor),
    'request_id', 'restored', 'steps', '', 'page', a.page_of_run)
end

local function create()
  local key, order = enrollment_key(a.run), {}
  for i, s in ipairs(a.steps) do order[i] = int(s.number) end
  redis.call('HSET', key, 'slug', a.slug, 'kind', a.kind, 'contact', a.contact, 'anchor', int(a.anchor),
    'created', int(math.min(a.anchor, now)), 'request_id', 'restored', 'steps', table.concat(order, ','), 'page', a.page_of_run)
  enter(a.run, a.what)
  enter(a.run, a.what)
  if a.what == 'paused' then redis.call('HSET', key, 'paused_at', int(a.paused_at)) end
  if a.group then redis.call('HSET', key, 'group', a.group); redis.call('HSET', contact, 'group.' .. a.group, a.run) end
  redis.call('SADD', 'eg:enrollments:' .. a.contact, a.run)
  if a.ticked then redis.call('SADD', 'eg:ticked', a.run) end
  tally(a.run, 'enrolled')
  local ended = {}
  for _, s in ipairs(a.steps) do
    local step, decided = int(s.number), s.state == 'sent' or s.state == 'skipped'
    set_step(a.run, step, {state = decided and s.state or 'scheduled', due = s.due, offset = s.offset, next = not decided and s.due or nil,
      sent = s.sent, by = s.by, id = s.id, why = s.why, note = s.note, page = s.state ~= 'scheduled' and (s.page or UNSURE) or s.page})
    set_step(a.run, step, s.reports or {})
    if s.state == 'sent' then tally(a.run, step .. '.sent') end
    if s.state == 'sent' and not s.page then dirty('email', email_id(a.run, step)) end
    if s.state == 'failed' or s.state == 'in-doubt' then ended[#ended + 1] = s end
  end
  for _, s in ipairs(ended) do end_step(a.run, int(s.number), s.state, {why = s.why, next = false}) end
  local open = false
  for _, s in ipairs(a.steps) do
    if s.state == 'scheduled' then
      open = true
      if a.what == 'active' then wake(a.run, int(s.number), s.due) end
    end
  end
  dirty('enrollment', a.run)
  if not open and is_open(a.run) then end_enrollment(a.run, 'completed') end
end

local what = outcome()
if a.dry then return what end
if what ~= 'exists' then mark() end
if a.fields then remember() end
if what == 'tracked' then track() end
if what == 'united' then unite() end
if what == 'restored' or what == 'marked' or what == 'suppressed' or what == 'blocked' then redis.call('HSET', 'eg:runs', a.key, int(a.number)) end
if what == 'restored' then create() end
return what
