-- @include base first_emails holding
-- A contact was asked for a confirmation, or could not be. Keeps true: one email and one reminder; one that could not
-- be sent is tried again.
-- ARGV[2]: {contact, outcome (sent, refused, wait), wait}.
-- Returns 1, or 0 if nothing is held any more.
local a = cjson.decode(ARGV[2])
local tried = redis.call('HGET', asking_key(a.contact), 'tried')
if not tried or #held_ids(a.contact) == 0 then return 0 end
redis.call('ZREM', ASK_LATER, a.contact)
if a.outcome == 'refused' then
  drop_contacts_held(a.contact)
elseif a.outcome == 'wait' then
  redis.call('ZADD', ASK_LATER, int(now + a.wait), a.contact)
else
  redis.call('HSET', asking_key(a.contact), 'sent', tried)  -- two workers may report the same email
  if tried == '1' then
    first_email_sent(a.contact)
    redis.call('ZADD', ASK_LATER, int(now + REMIND_AFTER), a.contact)
  end
end
return 1
