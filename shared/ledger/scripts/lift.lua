-- @include outbox consents contacts
-- A contact may get email again, to the extent that a person decided. Keeps true: the list of suppressed contacts holds
-- only those that are; an unsubscribe is lifted only together with the consent that lifts it. Enrollments that ended
-- stay ended.
-- ARGV[2]: {contact, reasons, consent (its wording, if there is one)}.
-- Returns the reasons that were lifted.
local a = cjson.decode(ARGV[2])
local contact, lifted = 'eg:contact:' .. a.contact, {}
for _, reason in ipairs(a.reasons) do
  if redis.call('HDEL', contact, reason) == 1 then
    lifted[#lifted + 1] = reason
    if reason == 'unsubscribed' then agree(a.contact, {text = a.consent, source = 'operator', proof = 'proved'}) end
  end
end
unlist_suppressed(a.contact)
if #lifted > 0 then dirty('contact', a.contact) end
return lifted
