-- @include base rq_jobs first_emails
-- Sign-ups that are held until the owner of the mailbox confirms them, and who gets a confirmation email next.

local HELD, HELD_BY, KEEP_HELD = 'eg:held', 'eg:held:networks', 7 * 86400000
local MOST_HELD = 20000
local ASK, ASK_LATER, ASK_JOB = 'eg:ask', 'eg:ask:later', 'eg:ask:job'
local REMIND_AFTER = 86400000
local ASKED = {key = 'confirmations', most = 100, window = 3600000}  -- confirmation emails in an hour

local function held_key(id) return 'eg:held:' .. id end
local function asking_key(contact) return 'eg:asking:' .. contact end

-- Whether a confirmation email may leave in this hour.
local function may_ask_now()
  return tonumber(redis.call('GET', 'eg:limit:' .. ASKED.key) or '0') < ASKED.most
end

-- A worker sends the confirmation emails that are ready. While none may leave, none is woken: in a flood it would be,
-- for each sign-up, and customers' emails would wait behind it. The sweep wakes one when the hour is over.
local function ask_soon()
  if not may_ask_now() or first_emails_stopped() then return end
  if not redis.call('SET', ASK_JOB, '', 'NX', 'PX', 60000) then return end
  mark()
  local job = 'confirm-' .. int(redis.call('INCR', 'eg:jobs'))
  write_rq_job(job, 'send', 'queued', SLOW_JOB, '["scheduler.jobs.confirm", null, [], {}]', 'ask for confirmations')
  redis.call('SADD', 'rq:queues', QUEUE)
  redis.call('RPUSH', QUEUE, job)
end

-- The networks take turns: who is the third that a network has held waits for the second of all others.
local TURN = 1e13
local function line_up(contact, network)
  local turn = tonumber(redis.call('ZSCORE', HELD_BY, network) or '1')
  redis.call('ZADD', ASK, 'NX', turn * TURN + now, contact)
  ask_soon()
end

local function leave_line(contact)
  redis.call('ZREM', ASK, contact)
  redis.call('ZREM', ASK_LATER, contact)
end

-- Forget a held sign-up; `member` is its id and network, as on the list.
local function drop_held(member)
  local id, network = string.match(member, '^(.+)@(.+)$')
  if redis.call('ZREM', HELD, member) == 1 and tonumber(redis.call('ZINCRBY', HELD_BY, -1, network)) <= 0 then
    redis.call('ZREM', HELD_BY, network)
  end
  return redis.call('DEL', held_key(id))
end

local function held_record(id)
  local text = redis.call('GET', held_key(id))
  if not text then return nil end
  local network, record = string.match(text, '^(%S+) (.*)$')
  return record, id .. '@' .. network
end

-- The ids of a contact's sign-ups that are still held.
local function held_ids(contact)
  local list = {}
  for trigger in string.gmatch(redis.call('HGET', asking_key(contact), 'triggers') or '', '[^,]+') do
    local id = contact .. '-' .. trigger
    if redis.call('EXISTS', held_key(id)) == 1 then list[#list + 1] = id end
  end
  return list
end

-- Forget all sign-ups that a contact has held. Returns how many. A mailbox that was asked is not asked again this week.
local function drop_contacts_held(contact)
  local dropped, asking = 0, fields(asking_key(contact), 'mailbox', 'tried')
  local is_own = asking.mailbox and redis.call('GET', 'eg:mailbox:' .. asking.mailbox) == contact
  if is_own and not asking.tried then redis.call('DEL', 'eg:mailbox:' .. asking.mailbox) end
  leave_line(contact)
  for _, id in ipairs(held_ids(contact)) do
    local _, member = held_record(id)
    dropped = dropped + drop_held(member)
  end
  redis.call('DEL', asking_key(contact))
  return dropped
end

-- Forget a held sign-up that has had its time or makes room. Without it, nothing is kept of a contact who was not asked
-- yet, so that a flood leaves no more than what is held; who was asked can still use the link for a later one.
local function give_up(member)
  drop_held(member)
  local contact = string.match(member, '^(%x+)')
  if #held_ids(contact) == 0 and redis.call('HEXISTS', asking_key(contact), 'tried') == 0 then
    drop_contacts_held(contact)
  end
end

-- Forget those whose week is over, some at a time.
local function drop_expired()
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', HELD, '-inf', int(now - KEEP_HELD), 'LIMIT', 0, 100)) do
    give_up(member)
  end
end

-- The oldest that the largest network has. A list for each network would cost more than looking for it among the oldest
-- of all; where it is not there, or no network has a two-hundredth of the places, no network is large, and the oldest
-- of all goes. So a flood from many networks costs no search for each of its sign-ups.
local function oldest_of_largest()
  local network, count = unpack(redis.call('ZREVRANGE', HELD_BY, 0, 0, 'WITHSCORES'))
  local ending = '@' .. (network or '')
  for first = 0, tonumber(count or '0') * 200 >= MOST_HELD and 1900 or -1, 100 do
    for _, member in ipairs(redis.call('ZRANGE', HELD, first, first + 99)) do
      if string.sub(member, -#ending) == ending then return member end
    end
  end
  return redis.call('ZRANGE', HELD, 0, 0)[1]
end

-- If too many are held, the oldest of the network that has most makes room.
local function make_room()
  drop_expired()
  if redis.call('ZCARD', HELD) >= MOST_HELD then give_up(oldest_of_largest()) end
end

-- h: {id, contact, trigger, mailbox, network (digests), record}. One mailbox is asked once a week, with one reminder;
-- not before `ask_from`, and not at all without it.
local function hold_sign_up(h, ask_from)
  local _, before = held_record(h.id)
  if before then drop_held(before) else make_room() end
  local member = h.id .. '@' .. h.network
  redis.call('SET', held_key(h.id), h.network .. ' ' .. h.record, 'PX', KEEP_HELD)
  if redis.call('ZADD', HELD, int(now), member) == 1 then redis.call('ZINCRBY', HELD_BY, 1, h.network) end
  local asking = asking_key(h.contact)
  local triggers = redis.call('HGET', asking, 'triggers') or ','
  if not string.find(triggers, ',' .. h.trigger .. ',', 1, true) then triggers = triggers .. h.trigger .. ',' end
  redis.call('HSET', asking, 'triggers', triggers)
  redis.call('PEXPIRE', asking, KEEP_HELD)
  if ask_from and redis.call('SET', 'eg:mailbox:' .. h.mailbox, h.contact, 'NX', 'PX', KEEP_HELD) then
    leave_line(h.contact)
    redis.call('HDEL', asking, 'tried', 'tried_at')
    redis.call('HSET', asking, 'since', int(now), 'sent', '0', 'mailbox', h.mailbox)
    if ask_from <= now then
      line_up(h.contact, h.network)
    else
      redis.call('ZADD', ASK_LATER, int(ask_from), h.contact)
    end
  end
end

-- Reminders and second tries whose time has come get back in line.
local function line_up_later()
  for _, contact in ipairs(redis.call('ZRANGEBYSCORE', ASK_LATER, '-inf', int(now), 'LIMIT', 0, 100)) do
    redis.call('ZREM', ASK_LATER, contact)
    local _, member = held_record(held_ids(contact)[1] or '')
    if member then line_up(contact, string.match(member, '@(.+)$')) end
  end
end

-- Whether a contact's mailbox is asked, not another of its addresses, and for something that is still held.
local function is_asked(contact)
  return redis.call('HEXISTS', asking_key(contact), 'since') == 1 and #held_ids(contact) > 0
end

-- The next contact to ask, or nil.
local function next_in_line()
  while true do
    local contact = redis.call('ZPOPMIN', ASK)[1]
    if not contact or is_asked(contact) then return contact end
  end
end

-- Forget those whose week is over, and have a worker send those that are ready.
local function ask_if_ready()
  drop_expired()
  local ready = redis.call('ZCARD', ASK) + redis.call('ZCOUNT', ASK_LATER, '-inf', int(now))
  if ready > 0 then ask_soon() end
end
