-- Whether a contact may get email.

-- Why the contact may not get this kind of email, or nil.
local function suppressed(contact, kind)
  local v = redis.call('HMGET', 'eg:contact:' .. contact, 'bounced', 'complained', 'manual', 'unsubscribed')
  if v[1] then return 'bounced' end
  if v[2] then return 'complained' end
  if v[3] then return 'suppressed manually' end
  if v[4] and kind == 'marketing' then return 'unsubscribed' end
  return nil
end
