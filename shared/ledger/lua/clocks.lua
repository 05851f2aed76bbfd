-- @include base
-- The provider's clock compared with Redis's. The provider forgets a request 24 hours after it accepted it, by its own
-- clock; Redis's may have stood still, or been set, since. So each response's date is stored as how far the provider's
-- clock is ahead.

local HEARD = 'eg:heard:resend'
-- a first post may rely on what was heard this long ago: a clock step that matters makes it look older
local SETTLED = 600000
local JUST_NOW = 30000  -- a repetition relies on nothing older

-- The id of this start of Redis, or nil. (Its uptime would not help: Redis counts it by the wall clock.)
local function this_start() return string.match(info('server'), 'run_id:(%x+)') end

-- Remember the time that the provider reported, in milliseconds since 1970; nil if it did not. Its clock never goes
-- back: a time older than the last one was delayed on its way.
local function hear(said)
  local before = said and tonumber(redis.call('HGET', HEARD, 'said') or '0')
  if said and said >= before then
    redis.call('HSET', HEARD, 'ahead', int(said - now), 'at', int(now), 'said', int(said), 'server', this_start() or '')
  end
end

-- How far the provider's clock is ahead, in milliseconds, as heard within the given number of them; nil if it was not.
local function ahead(within)
  local v = redis.call('HMGET', HEARD, 'ahead', 'at')
  local age = v[2] and now - tonumber(v[2])
  return age and age >= 0 and age <= within and tonumber(v[1]) or nil
end

-- The provider was asked for its time and did not say: it is not asked again for a while.
local ASKED_FOR = 60000
local function heard_nothing() redis.call('HSET', HEARD, 'asked', int(now)) end

-- Whether to ask it before a first post: if the response gets lost, that time says how long the post may be repeated.
local function should_ask()
  local since = now - tonumber(redis.call('HGET', HEARD, 'asked') or '0')
  return not ahead(SETTLED) and not (since >= 0 and since < ASKED_FOR)
end

-- How far it is ahead, as heard just now and since Redis started: before that, this machine may have been off for any
-- length of time.
local function ahead_now()
  return redis.call('HGET', HEARD, 'server') == this_start() and ahead(JUST_NOW) or nil
end

-- Whether the provider may have forgotten a request that was first posted at `first` by its own clock (nil: unknown,
-- and Redis's may have been set since).
local function may_be_forgotten(first, now_ahead)
  return not first or now + now_ahead >= first + WINDOW
end
