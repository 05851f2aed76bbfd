-- @include base outbox erasure first_emails holding
-- Erase all that is kept about a contact, but for what must stay.

-- What is kept under a key of its own, beside the contact itself.
local OWN = {'eg:enrollments:', 'eg:exits:', 'eg:consents:', 'eg:cancelled:'}

-- `enrollments` are those that no list holds. That the contact wants no email is kept, under a digest. Returns how many
-- enrollments, requests to the provider, entries to report and held sign-ups were erased.
local function erase_contact(contact, enrollments)
  local runs, requests, notes = 0, 0, 0
  local function erase(enrollment)
    if redis.call('HGET', enrollment_key(enrollment), 'contact') ~= contact then return end
    local r, n = erase_enrollment(enrollment)
    runs, requests, notes = runs + 1, requests + r, notes + n
  end
  for _, enrollment in ipairs(redis.call('SMEMBERS', 'eg:enrollments:' .. contact)) do erase(enrollment) end
  for _, enrollment in ipairs(enrollments) do erase(enrollment) end
  notes = notes + untell(OUTBOX, 'contact:' .. contact) + untell(NOTICES, 'lead:' .. contact)
    + redis.call('ZREM', LEADS, 'lead:' .. contact)
  local key = 'eg:contact:' .. contact
  local kept = fields(key, 'bounced', 'complained', 'manual', 'unsubscribed')
  redis.call('DEL', key)
  redis.call('ZREM', FIRSTS, contact)
  redis.call('SREM', FIRSTS_BOUNCED, contact)
  for _, prefix in ipairs(OWN) do redis.call('DEL', prefix .. contact) end
  for reason, at in pairs(kept) do redis.call('HSET', key, reason, at) end
  return runs, requests, notes, drop_contacts_held(contact)
end
