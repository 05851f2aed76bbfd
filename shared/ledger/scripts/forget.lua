#!lua flags=allow-oom
-- @include base outbox erasure holding
-- Erase a person. Keeps true: from here on, nothing of theirs is claimed, posted or reported; that they had an
-- enrollment (eg:runs) and that they want no email (the suppression) is kept, under a digest. The other emails of an
-- unsettled batch are in doubt if its holder does not report: the request that could be repeated is erased.
-- ARGV[2]: {contact, enrollments (that no list holds), meetings (keys), answers: [[key, answer without the address]…]}.
-- Returns {enrollments, frozen requests, entries waiting for Notion and the owner, meetings, held sign-ups}, how many
-- of each.
local a = cjson.decode(ARGV[2])
-- What is kept about a contact under a key of its own, beside the contact itself.
local OWN = {'eg:enrollments:', 'eg:exits:', 'eg:consents:'}
local runs, requests, notes, meetings = 0, 0, 0, 0

local function erase(enrollment)
  if redis.call('HGET', enrollment_key(enrollment), 'contact') ~= a.contact then return end
  local r, n = erase_enrollment(enrollment)
  runs, requests, notes = runs + 1, requests + r, notes + n
end

for _, enrollment in ipairs(redis.call('SMEMBERS', 'eg:enrollments:' .. a.contact)) do erase(enrollment) end
for _, enrollment in ipairs(a.enrollments) do erase(enrollment) end
for _, meeting in ipairs(a.meetings) do
  if redis.call('HGET', meeting, 'contact') == a.contact then meetings = meetings + redis.call('DEL', meeting) end
end
for _, seen in ipairs(a.answers) do redis.call('SET', seen[1], seen[2], 'XX', 'KEEPTTL') end
notes = notes + untell(OUTBOX, 'contact:' .. a.contact) + untell(NOTICES, 'lead:' .. a.contact)
  + redis.call('ZREM', LEADS, 'lead:' .. a.contact)

local contact = 'eg:contact:' .. a.contact
local kept = fields(contact, 'bounced', 'complained', 'manual', 'unsubscribed')
redis.call('DEL', contact)
for _, prefix in ipairs(OWN) do redis.call('DEL', prefix .. a.contact) end
for reason, at in pairs(kept) do redis.call('HSET', contact, reason, at) end
return {runs, requests, notes, meetings, drop_contacts_held(a.contact)}
