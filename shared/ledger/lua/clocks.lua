-- @include base
-- The provider's clock beside Redis's. The provider forgets a request 24 hours after it took it, by its own clock;
-- Redis's may have stood still, or been set, since. So each answer's date is kept as how far the provider's clock is
-- ahead.

local HEARD = 'eg:heard:resend'
-- of what was heard so long ago, a first post may still go by: a step of the clock that matters makes it look older
local SETTLED = 600000
local JUST_NOW = 30000  -- a repetition goes by nothing older

-- This start of Redis. (Its uptime would not tell: Redis counts it by the wall clock.)
local function this_start() return string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') end

-- Remember what time the provider said it is, in milliseconds since 1970; nil where it did not say. Its clock never
-- goes back: what is older than what was heard before has lain somewhere.
local function hear(said)
  local before = said and tonumber(redis.call('HGET', HEARD, 'said') or '0')
  if said and said >= before then
    redis.call('HSET', HEARD, 'ahead', int(said - now), 'at', int(now), 'said', int(said), 'server', this_start())
  end
end

-- How far the provider's clock is ahead, in milliseconds, as heard within so many; nil where it was not.
local function ahead(within)
  local v = redis.call('HMGET', HEARD, 'ahead', 'at')
  local age = v[2] and now - tonumber(v[2])
  return age and age >= 0 and age <= within and tonumber(v[1]) or nil
end

-- It was asked for its time, and did not say: it is not asked again for a while.
local ASKED_FOR = 60000
local function heard_nothing() redis.call('HSET', HEARD, 'asked', int(now)) end

-- Whether to ask it before a first post: should the answer get lost, its time then tells how long that may be repeated.
local function should_ask()
  local since = now - tonumber(redis.call('HGET', HEARD, 'asked') or '0')
  return not ahead(SETTLED) and not (since >= 0 and since < ASKED_FOR)
end

-- The same as heard just now, and since Redis was started: before that, this machine may have been off for any time.
local function ahead_now()
  return redis.call('HGET', HEARD, 'server') == this_start() and ahead(JUST_NOW) or nil
end

-- Whether the provider may have forgotten a request that was posted first at `first` by its own clock (nil: not known,
-- and Redis's may have been set since).
local function may_be_forgotten(first, now_ahead)
  return not first or now + now_ahead >= first + WINDOW
end
