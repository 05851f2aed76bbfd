-- @include base suppression lifecycle consents
-- Which contacts may get email: the only place that suppresses a contact.

-- What stops all steps of an enrollment from being sent: its state or a suppression. Nil if nothing does.
local function barrier(enrollment)
  local e = fields(enrollment_key(enrollment), 'state', 'why', 'kind', 'contact')
  if e.state ~= 'active' then return (e.state or 'forgotten') .. (e.why and ': ' .. e.why or '') end
  local why = suppressed(e.contact, e.kind)
  return why and 'suppressed: ' .. why or nil
end

-- Stop email to a contact: all of it, or marketing. An email that has passed its last look is not stopped. `source` is
-- who reported an unsubscribe. Returns how many enrollments this ended.
local function suppress(contact, reason, source)
  local is_new = redis.call('HSETNX', 'eg:contact:' .. contact, reason, int(now)) == 1
  if is_new and reason == 'unsubscribed' then
    add_consent(contact, {what = 'withdrawn', source = source, proof = 'confirmed'})
  end
  redis.call('ZADD', 'eg:suppressed', 'NX', int(now), contact)
  local ended = 0
  for _, enrollment in ipairs(open_enrollments(contact)) do
    if suppressed(contact, redis.call('HGET', enrollment_key(enrollment), 'kind')) then
      stop_enrollment(enrollment, 'exited', reason)
      ended = ended + 1
    end
  end
  return ended
end

-- A reason was lifted: the list of suppressed contacts holds only those that are.
local function unlist_suppressed(contact)
  if not suppressed(contact, 'marketing') then redis.call('ZREM', 'eg:suppressed', contact) end
end
