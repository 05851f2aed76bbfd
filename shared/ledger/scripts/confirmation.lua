-- @include base gate suppression limits first_emails holding
-- Take the next contact who must be asked for a confirmation. Keeps true: one worker at a time per contact; one taken
-- by a worker that died comes again; no one is asked who has decided since, whose address bounced, or while sending is
-- stopped; all workers together ask no more than a hundred in an hour, and no network takes the turns of others.
-- ARGV[2]: {lease, fenced (the fence must be on)}.
-- Returns {contact, number (1: the first email, 2: the reminder), since, [held record…]}, or {}.
local a = cjson.decode(ARGV[2])

-- Whether the contact has refused email since, or cannot get any.
local function refuses(contact)
  local why = suppressed(contact, 'marketing')
  local since = tonumber(redis.call('HGET', asking_key(contact), 'since') or '0')
  return why and (why ~= 'unsubscribed' or tonumber(redis.call('HGET', 'eg:contact:' .. contact, why)) >= since)
end

-- The number of the next email, or nil if both have left. One whose outcome was not learned while the provider
-- remembers it counts as sent.
local function next_number(contact)
  local v = fields(asking_key(contact), 'sent', 'tried', 'tried_at')
  local number = tonumber(v.sent) + 1
  if tonumber(v.tried) == number and now >= tonumber(v.tried_at) + WINDOW then
    redis.call('HSET', asking_key(contact), 'sent', int(number))
    number = number + 1
  end
  if number > 2 then return nil end
  if tonumber(v.tried) ~= number then
    redis.call('HSET', asking_key(contact), 'tried', int(number), 'tried_at', int(now))
  end
  return number
end

local function next_contact()
  line_up_later()
  while may_ask_now() do
    local contact = next_in_line()
    if not contact then return nil end
    if refuses(contact) then
      drop_contacts_held(contact)
    else
      local number = next_number(contact)
      if number then return contact, number end
    end
  end
end

local stopped = shut(gate()) or a.fenced and redis.call('HEXISTS', FENCE, 'on') == 0 or first_emails_stopped()
local contact, number
if not stopped then contact, number = next_contact() end
if not contact then
  redis.call('DEL', ASK_JOB)
  return {}
end
wait_after(ASKED)
redis.call('ZADD', ASK_LATER, int(now + a.lease), contact)
local records = {}
for i, id in ipairs(held_ids(contact)) do records[i] = held_record(id) end
return {contact, number, redis.call('HGET', asking_key(contact), 'since'), records}
