#!lua flags=allow-oom
-- @include base holding forgetting
-- Erase what unproved sign-ups have left since an instant, some at a time. Keeps true: a contact that anything proves,
-- that confirmed its address, or that was there before, is untouched; so is the mark of an enrollment of which an email
-- was sent, so that no id stands for two emails.
-- ARGV[2]: {since, contacts (to look at), slugs (all campaigns), held (how many held sign-ups at most), dry}.
-- Returns {contacts, enrollments, held sign-ups, [pages in Notion…]}; with `dry`, it only counts.
local a = cjson.decode(ARGV[2])

local function is_unproved(contact)
  local v = fields('eg:contact:' .. contact, 'created', 'proved', 'unproved', 'confirmed_at')
  return v.created and tonumber(v.created) >= a.since and v.unproved and not v.proved and not v.confirmed_at
end

local pages = {}
local function note_pages(key)
  local flat = redis.call('HGETALL', key)
  for i = 1, #flat, 2 do
    if (flat[i] == 'page' or string.match(flat[i], '%.page$')) and flat[i + 1] ~= '?' then
      pages[#pages + 1] = flat[i + 1]
    end
  end
end

local function purge(contact)
  local runs = redis.call('SMEMBERS', 'eg:enrollments:' .. contact)
  if a.dry then return #runs end
  local was_sent_to = redis.call('HEXISTS', 'eg:contact:' .. contact, 'last_sent') == 1
  local tracked = {}
  note_pages('eg:contact:' .. contact)
  for _, run in ipairs(runs) do note_pages(enrollment_key(run)) end
  for i, slug in ipairs(a.slugs) do
    local key = slug .. '-' .. contact
    tracked[i] = key .. '-0'
    note_pages(enrollment_key(tracked[i]))
    if not was_sent_to then redis.call('HDEL', 'eg:runs', key) end
  end
  return (erase_contact(contact, tracked))
end

local contacts, enrollments = 0, 0
for _, contact in ipairs(a.contacts) do
  if is_unproved(contact) then
    contacts, enrollments = contacts + 1, enrollments + purge(contact)
  end
end
if a.dry then return {contacts, enrollments, redis.call('ZCOUNT', HELD, int(a.since), '+inf'), pages} end
local held = redis.call('ZRANGEBYSCORE', HELD, int(a.since), '+inf', 'LIMIT', 0, a.held)
for _, member in ipairs(held) do
  drop_contacts_held(string.match(member, '^(%x+)'))
  drop_held(member)  -- also one whose record has expired
end
return {contacts, enrollments, #held, pages}
