-- @include base outbox ranks
-- The first emails to addresses that no one has proved. If too many of the last hundred bounced, someone signs up
-- addresses that do not exist, and no more leave until a person decides.

local FIRSTS, FIRSTS_BOUNCED, FIRSTS_STOPPED = 'eg:firsts', 'eg:firsts:bounced', 'eg:firsts:stopped'
local LAST, MOST_BOUNCED = 100, 3

local function first_emails_stopped() return redis.call('EXISTS', FIRSTS_STOPPED) == 1 end

-- Whether the next email to a contact is the first one to an unproved address.
local function is_first_email(contact)
  local v = fields('eg:contact:' .. contact, 'unproved', 'confirmed_at', 'last_sent')
  return listed(v.unproved, 'email') and not v.confirmed_at and not v.last_sent
end

local function first_email_sent(contact)
  redis.call('ZADD', FIRSTS, int(now), contact)
  redis.call('ZREMRANGEBYRANK', FIRSTS, 0, -LAST - 1)
end

local function first_email_bounced(contact)
  if not redis.call('ZSCORE', FIRSTS, contact) then return end
  redis.call('SADD', FIRSTS_BOUNCED, contact)
  for _, other in ipairs(redis.call('SMEMBERS', FIRSTS_BOUNCED)) do
    if not redis.call('ZSCORE', FIRSTS, other) then redis.call('SREM', FIRSTS_BOUNCED, other) end
  end
  local bounced = redis.call('SCARD', FIRSTS_BOUNCED)
  if bounced <= MOST_BOUNCED or first_emails_stopped() then return end
  redis.call('SET', FIRSTS_STOPPED, int(now))
  alert('first-emails', int(bounced) .. ' of the last ' .. int(redis.call('ZCARD', FIRSTS)) .. ' bounced')
end
