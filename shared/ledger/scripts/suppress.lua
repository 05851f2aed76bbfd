#!lua flags=allow-oom
-- @include outbox contacts
-- Stop email to a contact: all of it, or marketing. Keeps true: from here on, no such step is claimed or passes its
-- last look; one that already has is not stopped.
-- ARGV[2]: {contact, reason (bounced, complained, unsubscribed, manual), source (who reports an unsubscribe)}.
-- Returns how many enrollments this ended.
local a = cjson.decode(ARGV[2])
dirty('contact', a.contact)
return suppress(a.contact, a.reason, a.source)
