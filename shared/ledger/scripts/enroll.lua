-- @include base outbox suppression queue lifecycle ranks consents contacts visits holding meetings
-- Enroll a contact in a campaign, or only remember it, in one step. Keeps true: one enrollment per key unless re-entry
-- allows another, one enrollment per event unless its calendar withdrew it and sent it again, one active enrollment per
-- contact and group, one effect per idempotency key, no new enrollment for a suppressed address; a meeting ends as its
-- latest event says, regardless of their order of arrival, and ends only its own enrollments (meetings.lua); what a
-- visit says changes nothing that is proved and lifts no unsubscribe, and takes none of the last tenth of the memory; a
-- held sign-up is confirmed once.
-- ARGV[2]: {contact, fields, claimed (given, but not to be printed), source, consent: {text, page, source, network},
-- seen, body, seen_ttl, answer, lead}; if nothing proves it: {visit (see visits.lua), hold: {id, trigger, mailbox,
-- network, record}}; if it was held before: {confirms (its id)}; if it ends other enrollments: {exit: {reason, slugs,
-- before}}; if a calendar reports it: {meeting: {what, uid, seat, seated, first, at, starts, replaces, replaces_seat,
-- series, dates, reminds, keep}}; if the webhook has a campaign: {start: {key, slug, kind, request_id}}; and if the
-- form has what it requires: {plan: {group, reentry, anchor, warning, values, retakes, queue_for, steps: [{number,
-- offset, due, sent, skipped}]}}.
-- Returns {what, enrollment or ''}, or {'duplicate', the first answer}.
-- what: enrolled · queued · exists · blocked · tracked · cancelled · ignored · held · asks (held, but no one who posts
-- a form learns that the address is unsubscribed) · repeated (too often for this address) · refused (too often) ·
-- conflict (the key came with another body) · gone (it is not held any more).
local a = cjson.decode(ARGV[2])
local start, plan = a.start or {}, a.plan or {}
local meeting_id

local contact = 'eg:contact:' .. a.contact
local proof = a.visit and 'unproved' or a.confirms and 'confirmed' or 'proved'

-- A consent that proves nothing lifts no unsubscribe: the owner of the mailbox is asked.
local function needs_the_owner()
  return a.visit and a.consent and redis.call('HEXISTS', contact, 'unsubscribed') == 1
end

-- One that does not lift (`lifts` is false) was given before the unsubscribe.
local function consent()
  if a.consent.lifts == false and redis.call('HEXISTS', contact, 'unsubscribed') == 1 then return end
  if redis.call('HDEL', contact, 'unsubscribed') == 1 then
    redis.call('HDEL', contact, 'consent_at', 'consent_proof')  -- what was withdrawn with it
    unlist_suppressed(a.contact)
  end
  a.consent.proof = proof
  agree(a.contact, a.consent)
end

local function remember()
  redis.call('HSETNX', contact, 'created', int(now))
  redis.call('HSETNX', contact, 'source', a.source)
  remember_fields(contact, a.fields, proof == 'proved')
  for field, text in pairs(a.claimed or {}) do redis.call('HSET', contact, 'claimed.' .. field, text) end
  if a.confirms then redis.call('HSET', contact, 'confirmed_at', int(now)) end
  if a.consent then consent() end
  if a.lead and redis.call('HGET', contact, 'lead') ~= a.lead then
    redis.call('HSET', contact, 'lead', a.lead)
    notice('lead:' .. a.contact, now)
  end
  dirty('contact', a.contact)
end

-- The event ends the enrollments that list it, if they began before it. It is remembered for those that this ledger
-- does not know, so that a restore reopens none of them.
local function exit_enrollments()
  local exits, ends = 'eg:exits:' .. a.contact, {}
  if a.exit.before > tonumber(redis.call('HGET', exits, a.exit.reason) or '-1') then
    redis.call('HSET', exits, a.exit.reason, int(a.exit.before))
  end
  redis.call('PEXPIRE', exits, KEEP_FINISHED)
  for _, slug in ipairs(a.exit.slugs) do ends[slug] = true end
  for _, enrollment in ipairs(open_enrollments(a.contact)) do
    local e = fields(enrollment_key(enrollment), 'slug', 'created')
    if ends[e.slug] and tonumber(e.created) <= a.exit.before then
      stop_enrollment(enrollment, 'exited', a.exit.reason)
    end
  end
end

-- No enrollment, but a row for the owner to see, perhaps with a warning: run 0, which a later enrollment takes over.
local function track(warning)
  if not start.key then return 'tracked', '' end
  local enrollment = start.key .. '-0'
  if redis.call('HEXISTS', 'eg:runs', start.key) == 0 then
    redis.call('HSET', enrollment_key(enrollment), 'slug', start.slug, 'kind', start.kind, 'contact', a.contact,
      'state', 'tracking', 'anchor', int(now), 'request_id', start.request_id, 'steps', '',
      'warning', warning or '')
    dirty('enrollment', enrollment)
  end
  return 'tracked', ''
end

-- Whether the contact may go through it again, after an enrollment with this key.
local function may_reenter(last)
  if redis.call('HGET', enrollment_key(last), 'why') == WAITED then return true end
  if plan.reentry == 'never' or is_open(last) then return false end
  if plan.reentry ~= 'per-event' then return true end
  return meeting_id and is_taken_back(meeting_id, last)
end

-- What becomes of the sign-up, and the enrollment that it concerns.
local function decide()
  local run = redis.call('HGET', 'eg:runs', start.key)
  local last, new = run and start.key .. '-' .. run, start.key .. '-' .. int((run or 0) + 1)
  if last and not may_reenter(last) then return 'exists', last end
  if suppressed(a.contact, start.kind) then return track() end
  local other = plan.group and redis.call('HGET', contact, 'group.' .. plan.group)
  if not is_open(other) then return 'enrolled', new end
  if plan.queue_for then return 'queued', new end
  return 'blocked', other
end

local function create(enrollment)
  local key = enrollment_key(enrollment)
  redis.call('HSET', 'eg:runs', start.key, string.match(enrollment, '%d+$'))
  redis.call('HSET', key, 'slug', start.slug, 'kind', start.kind, 'contact', a.contact, 'anchor', int(plan.anchor),
    'created', int(now), 'request_id', start.request_id, 'proof', proof)
  if meeting_id then redis.call('HSET', key, 'meeting', meeting_id) end
  local tracked = redis.call('HGET', enrollment_key(start.key .. '-0'), 'page')
  if tracked then redis.call('HSET', key, 'page', tracked) end
  redis.call('DEL', enrollment_key(start.key .. '-0'))
  for _, field in ipairs({'warning', 'values', 'group'}) do
    if plan[field] then redis.call('HSET', key, field, plan[field]) end
  end
  redis.call('HDEL', contact, 'blocked.' .. start.slug)
  redis.call('SADD', 'eg:enrollments:' .. a.contact, enrollment)
end

-- Another enrollment holds the group. The owner sees that in the tracker, and with the contact.
local function block(other)
  redis.call('HSET', contact, 'blocked.' .. start.slug, int(now) .. ' ' .. other)
  track('not enrolled, because ' .. other .. ' was under way')
end

-- A retaken assessment counts in the open enrollment. A stranger's counts only in one that a stranger began: not in a
-- proved one, nor in one of an earlier release or a restore.
local function retake(enrollment)
  local key = enrollment_key(enrollment)
  local began = redis.call('HGET', key, 'proof') or 'proved'
  if proof ~= 'proved' and began == 'proved' or not is_open(enrollment) then return end
  redis.call('HSET', key, 'values', plan.values)
  dirty('enrollment', enrollment)
end

-- The answer that the same key got before, or nil. An earlier release stored only the answer.
local function answer_before()
  local stored = redis.call('GET', 'eg:seen:' .. a.seen)
  if not stored then return nil end
  local body, answer = string.match(stored, '^(%x*) (.*)$')
  if body and body ~= a.body then return {'conflict', ''} end
  return {'duplicate', answer or stored}
end

-- A person who has just unsubscribed is not asked on the same day, because of what someone typed into a form.
local AFTER_UNSUBSCRIBE = 86400000
local function ask_from()
  local why = suppressed(a.contact, 'marketing')
  if not why then return now end
  if why ~= 'unsubscribed' or not a.consent then return nil end
  return tonumber(redis.call('HGET', contact, why)) + AFTER_UNSUBSCRIBE
end

local function hold(what)
  a.hold.contact = a.contact
  hold_sign_up(a.hold, ask_from())
  return {what, ''}
end

local before = a.seen and answer_before()
if before then return before end
if a.visit and no_room_for_visitors() then return redis.error_reply('OOM no room for a sign-up that proves nothing') end
if a.confirms then
  local _, member = held_record(a.confirms)
  if not member then return {'gone', ''} end
  drop_held(member)
  if #held_ids(a.contact) == 0 then drop_contacts_held(a.contact, true) end
end
local turned = a.visit and turned_away(a.visit, a.contact)
if turned == 'repeated' or turned == 'refused' then return {turned, ''} end
if turned == 'held' then return hold('held') end
if needs_the_owner() then return hold('asks') end
if a.seen then redis.call('SET', 'eg:seen:' .. a.seen, a.body .. ' ' .. a.answer, 'PX', int(a.seen_ttl)) end
if a.meeting then
  local enrolls, what, which
  meeting_id, enrolls, what, which = apply_meeting(a.meeting, a.contact)
  if a.exit and not which then exit_enrollments() end  -- one who has the seat already has booked nothing new
  if not enrolls then
    if a.meeting.what == 'booked' then remember() end
    return {what, which or ''}
  end
  if a.meeting.what ~= 'booked' and start.key then start.key = start.slug .. '-' .. meeting_id end
elseif a.exit then
  exit_enrollments()
end
remember()
if not plan.steps then return {track()} end
local what, enrollment = decide()
if what == 'enrolled' then
  create(enrollment)
  if not start_enrollment(enrollment, plan.steps) then end_enrollment(enrollment, 'completed') end
elseif what == 'queued' then
  create(enrollment)
  queue_enrollment(enrollment, plan.steps, now + plan.queue_for)
elseif what == 'blocked' then
  block(enrollment)
elseif what == 'exists' and plan.retakes then
  retake(enrollment)
end
-- one that blocks it belongs to something else, and does not end with the meeting
local own = what == 'enrolled' or what == 'queued' or what == 'exists'
if meeting_id and own then
  redis.call('HSET', meeting_key(meeting_id), a.meeting.what == 'booked' and 'run' or 'recovery', enrollment)
end
return {what, enrollment}
