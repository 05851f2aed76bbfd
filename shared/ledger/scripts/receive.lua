#!lua flags=allow-oom
-- @include base outbox lists lifecycle contacts first_emails
-- Process what the provider reports about an email or an address. Keeps true: each report takes effect once, with its
-- mark in the same step; what was accepted is `sent`, regardless of source or time, even if a person has given up the
-- doubt; a batch is accepted whole; after a suppression, no step is claimed for the address.
-- ARGV[2]: {seen, seen_ttl, what, at} and, if known: contact, enrollment, step, id (the provider's), sent (when it
-- accepted), reason. what: accepted · delivered · opened · clicked · delayed · bounced · bounced-for-now · complained ·
-- suppressed · failed · unsubscribed.
-- Returns suppressed · recorded · ignored · duplicate, or busy: the email's sender is about to report; send the report
-- again in a moment.
local a = cjson.decode(ARGV[2])

local INSTANTS = {delivered = true, opened = true, clicked = true, bounced = true, complained = true}
local SUPPRESSES = {bounced = 'bounced', suppressed = 'bounced', complained = 'complained',
  unsubscribed = 'unsubscribed'}

local step = a.step and int(a.step)
local key = a.enrollment and enrollment_key(a.enrollment)

-- The step as it is and what it knows from the provider, or nil if it is not the addressee's.
local function reported_step()
  if not step or redis.call('HGET', key, 'contact') ~= a.contact then return nil end
  local s = step_of(a.enrollment, step)
  if not s.state then return nil end
  local known = fields(key, step .. '.id', step .. '.by', step .. '.anew', step .. '.delivered')
  s.id, s.by, s.anew, s.delivered = known[step .. '.id'], known[step .. '.by'], known[step .. '.anew'],
    known[step .. '.delivered']
  return s
end

-- Whether the report settles an attempt whose outcome was not learned, regardless of what a person has decided since. A
-- report about an attempt that is already known says nothing about a later one.
local function settles(s)
  if s.state == 'sent' or s.id and s.id == a.id then return false end
  return s.state == 'in-doubt' or s.posted or s.ambiguous or s.anew
end

local function accept(id)
  local enrollment, number = parse_email_id(id)
  local contact = redis.call('HGET', enrollment_key(enrollment), 'contact')
  if is_first_email(contact) then first_email_sent(contact) end
  if tonumber(redis.call('HGET', 'eg:contact:' .. contact, 'last_sent') or '0') < a.sent then
    redis.call('HSET', 'eg:contact:' .. contact, 'last_sent', int(a.sent))
    dirty('contact', contact)
  end
  local told = id == email_id(a.enrollment, step) and a.id or nil  -- the other emails' own reports bring theirs
  end_step(enrollment, number, 'sent', {sent = a.sent, by = 'evergreen', id = told, why = false, next = false})
end

-- The provider takes a batch as a whole or not at all.
local function accept_request(s)
  local members = s.frozen and redis.call('HGET', frozen_key(s.frozen), 'members') or email_id(a.enrollment, step)
  for id in string.gmatch(members, '[^,]+') do
    local other = step_of(parse_email_id(id))
    if other.state and other.state ~= 'sent' and other.frozen == s.frozen then accept(id) end
  end
end

-- Remember when it first happened and what was said about it. Returns whether that is news.
local function note(s)
  local news = INSTANTS[a.what] and redis.call('HSETNX', key, step .. '.' .. a.what, int(a.at)) == 1
  if news then tally(a.enrollment, step .. '.' .. a.what) end
  if a.what == 'delivered' then redis.call('HDEL', key, step .. '.note') end
  if a.reason and not (a.what == 'delayed' and s.delivered) then
    redis.call('HSET', key, step .. '.note', a.reason)
    news = true
  end
  return news
end

local function record(s)
  local news = settles(s)
  if news then accept_request(s) end
  local v = redis.call('HMGET', key, step .. '.state', step .. '.id', step .. '.by')
  local ours = v[1] == 'sent' and v[3] == 'evergreen'
  if ours and a.id and not v[2] then
    set_step(a.enrollment, step, {id = a.id})
    news, v[2] = true, a.id
  end
  news = note(s) or news
  if a.what == 'failed' and ours and v[2] == a.id then
    end_step(a.enrollment, step, 'failed', {why = a.reason, sent = false, by = false})
  elseif news then
    dirty('email', email_id(a.enrollment, step))
  end
  return news and 'recorded' or 'ignored'
end

-- A person who has agreed since the report stays subscribed, if they proved that it was they.
local function suppress_unless_agreed(reason)
  local v = fields('eg:contact:' .. a.contact, 'consent_at', 'consent_proof')
  local agreed = v.consent_proof ~= 'unproved' and tonumber(v.consent_at) or 0
  if reason == 'unsubscribed' and agreed > a.at then return 'ignored' end
  if reason == 'bounced' then first_email_bounced(a.contact) end
  suppress(a.contact, reason, 'resend')
  dirty('contact', a.contact)
  return 'suppressed'
end

local seen = 'eg:seen:' .. a.seen
if redis.call('EXISTS', seen) == 1 then return 'duplicate' end
local s = reported_step()
if s and a.what == 'failed' and s.state == 'sending' and s.lease and s.next > now then return 'busy' end
redis.call('SET', seen, '', 'PX', int(a.seen_ttl))
local outcome = s and record(s) or 'ignored'
if a.contact and SUPPRESSES[a.what] then return suppress_unless_agreed(SUPPRESSES[a.what]) end
return outcome
