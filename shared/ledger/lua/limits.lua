-- @include base
-- How often an action is allowed.

-- Count an action that is allowed `most` times in a window, which begins with the first. Returns the milliseconds until
-- it is allowed again; 0: now.
local function wait_after(limit)
  local key = 'eg:limit:' .. limit.key
  local count = redis.call('INCR', key)
  if count == 1 then redis.call('PEXPIRE', key, int(limit.window)) end
  return count > limit.most and math.max(redis.call('PTTL', key), 1) or 0
end

-- Take an action off the count, because it does not count after all.
local function give_back(key)
  if redis.call('EXISTS', 'eg:limit:' .. key) == 1 then redis.call('DECR', 'eg:limit:' .. key) end
end
