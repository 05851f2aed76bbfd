#!lua flags=allow-oom
-- @include forgetting
-- Erase a person. Keeps true: from here on, nothing of theirs is claimed, posted or reported; that they had an
-- enrollment (eg:runs) and that they want no email (the suppression) is kept, under a digest. The other emails of an
-- unsettled batch are in doubt if its holder does not report: the request that could be repeated is erased.
-- ARGV[2]: {contact, enrollments (that no list holds), meetings (keys), answers: [[key, answer without the address]…]}.
-- Returns {enrollments, frozen requests, entries waiting for Notion and the owner, meetings, held sign-ups}, how many
-- of each.
local a = cjson.decode(ARGV[2])
local meetings = 0
for _, meeting in ipairs(a.meetings) do
  if redis.call('HGET', meeting, 'contact') == a.contact then meetings = meetings + redis.call('DEL', meeting) end
end
for _, seen in ipairs(a.answers) do redis.call('SET', seen[1], seen[2], 'XX', 'KEEPTTL') end
local runs, requests, notes, held = erase_contact(a.contact, a.enrollments)
return {runs, requests, notes, meetings, held}
