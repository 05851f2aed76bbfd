-- @include base first_emails holding
-- A contact was asked for a confirmation, or could not be. Keeps true: one email and one reminder; one that could not
-- be sent is tried again.
-- ARGV[2]: {contact, outcome (sent, refused, wait), wait}.
-- Returns 1, or 0 if nothing is held any more.
local a = cjson.decode(ARGV[2])
redis.call('ZREM', ASK_LATER, a.contact)
if #held_ids(a.contact) == 0 then return 0 end
if a.outcome == 'refused' then
  drop_contacts_held(a.contact)
elseif a.outcome == 'wait' then
  redis.call('ZADD', ASK_LATER, int(now + a.wait), a.contact)
elseif redis.call('HINCRBY', asking_key(a.contact), 'sent', 1) == 1 then
  first_email_sent(a.contact)
  redis.call('ZADD', ASK_LATER, int(now + REMIND_AFTER), a.contact)
end
return 1
