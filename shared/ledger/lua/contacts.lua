-- @include base lifecycle
-- Which contacts may get email: the one place that suppresses, and that says whether a contact is suppressed.

-- Whether the contact may not get this kind of email, and why.
local function suppressed(contact, kind)
  local v = redis.call('HMGET', 'eg:contact:' .. contact, 'bounced', 'complained', 'manual', 'unsubscribed')
  if v[1] then return 'bounced' end
  if v[2] then return 'complained' end
  if v[3] then return 'suppressed manually' end
  if v[4] and kind == 'marketing' then return 'unsubscribed' end
  return nil
end

-- What forbids the steps of an enrollment to be sent at all, whenever: its state or a suppression. Nil where nothing
-- does.
local function barrier(enrollment)
  local e = fields(enrollment_key(enrollment), 'state', 'why', 'kind', 'contact')
  if e.state ~= 'active' then return (e.state or 'forgotten') .. (e.why and ': ' .. e.why or '') end
  local why = suppressed(e.contact, e.kind)
  return why and 'suppressed: ' .. why or nil
end

-- Stop email to a contact: all of it, or marketing. One that has passed its last look ends as it ends. Returns how many
-- enrollments that ended.
local function suppress(contact, reason)
  redis.call('HSETNX', 'eg:contact:' .. contact, reason, int(now))
  redis.call('ZADD', 'eg:suppressed', 'NX', int(now), contact)
  local ended = 0
  for _, enrollment in ipairs(redis.call('SMEMBERS', 'eg:enrollments:' .. contact)) do
    if is_open(enrollment) and suppressed(contact, redis.call('HGET', enrollment_key(enrollment), 'kind')) then
      stop_enrollment(enrollment, 'exited', reason)
      ended = ended + 1
    end
  end
  return ended
end

-- A reason was lifted: the list of suppressed contacts holds those that are, and no others.
local function unlist_suppressed(contact)
  if not suppressed(contact, 'marketing') then redis.call('ZREM', 'eg:suppressed', contact) end
end
