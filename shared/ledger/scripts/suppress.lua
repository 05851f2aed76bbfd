-- @include outbox contacts
-- A contact must get no more email: all of it, or marketing. Keeps true: from here on no step of it is claimed or
-- passes its last look; one that has ends as it ends.
-- ARGV[2]: {contact, reason (bounced, complained, unsubscribed, manual)}.
-- Returns how many enrollments ended by it.
local a = cjson.decode(ARGV[2])
dirty('contact', a.contact)
return suppress(a.contact, a.reason)
