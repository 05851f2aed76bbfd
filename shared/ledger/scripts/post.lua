-- @include base gate wakeups lifecycle contacts turns clocks
-- The last look before a request leaves. Keeps true: only the holder of a lease posts, with enough time to learn the
-- outcome; nothing leaves after a pause, an end, a suppression, a closed gate or a lost fence was acknowledged; a
-- request is frozen before its first post and never changes while it may have been accepted; attempts are counted when
-- they are made; no second has more requests than the rate.
-- ARGV[2]: {token, members, request, permissive (a batch in which a wrong email stops none of the others), spare, turn,
-- rate, account (a digest of the provider's key), date (the provider's time, if it was just asked; 0: it did not say)};
-- ARGV[3]: the request's body.
-- Returns {now, milliseconds until its turn, 1 if the sender must ask again, else 0, [members that may not go]}: it
-- asks again if the turn is another one, or after writing the request without some of its members; or {} if it must not
-- be posted.
local a = cjson.decode(ARGV[2])

if a.date == 0 then heard_nothing() else hear(a.date) end

local function state_of(id) return step_of(parse_email_id(id)) end

-- Whether the step is still ours to post.
local function mine(s) return s.state == 'sending' and s.lease == a.token end

-- It may not leave now, and was never posted: as if it had never been claimed; if it may never leave, it ends.
local function let_go(id, at)
  local enrollment, step = parse_email_id(id)
  local state, why = redis.call('HGET', enrollment_key(enrollment), 'state'), barrier(enrollment)
  if why and state ~= 'paused' then
    return end_step(enrollment, step, state == 'active' and 'skipped' or 'cancelled', {why = why})
  end
  set_step(enrollment, step, {state = 'scheduled', next = at, lease = false})
  if state == 'active' then wake(enrollment, step, at) else close_step(enrollment, step) end
end

-- None of it leaves now. What was posted before is repeated later as it was; it is never put back.
local function give_back(at)
  for _, id in ipairs(a.members) do
    local s = state_of(id)
    if mine(s) and s.posted then
      local enrollment, step = parse_email_id(id)
      set_step(enrollment, step, {next = at, lease = false})
      wake(enrollment, step, at)
    elseif mine(s) then
      let_go(id, at)
    end
  end
  return {}
end

-- What holds all of it back: the gate, except for its probe, or the fence.
local function held_back()
  local held = gate()
  for _, id in ipairs(a.members) do
    if held and held.probe == id then return nil end
  end
  return held
end

-- The first post: which members may no longer go; each is decided.
local function barred()
  local list = {}
  for _, id in ipairs(a.members) do
    local ours = mine(state_of(id))
    if not ours or barrier(parse_email_id(id)) then
      list[#list + 1] = id
      if ours then let_go(id, now) end
    end
  end
  return list
end

-- Whether a repetition may go: it goes whole, or not at all.
local function repeatable(members)
  for _, id in ipairs(members) do
    local s, why = state_of(id), barrier(parse_email_id(id))
    if not mine(s) or now >= s.posted + WINDOW then return false end
    if why then
      doubt_all(members, why, id)
      return false
    end
  end
  return true
end

local function freeze()
  local key = frozen_key(a.request)
  if redis.call('EXISTS', key) == 0 then
    local known = ahead(SETTLED)
    redis.call('HSET', key, 'body', ARGV[3], 'members', table.concat(a.members, ','), 'first',
      known and int(now + known) or '')
    if a.account then redis.call('HSET', key, 'account', a.account) end
    if a.permissive then redis.call('HSET', key, 'permissive', '1') end
    redis.call('PEXPIRE', key, 86400000)
  end
  for _, id in ipairs(a.members) do
    local enrollment, step = parse_email_id(id)
    local s = step_of(enrollment, step)
    set_step(enrollment, step, {posted = s.posted or now, attempts = s.attempts + 1, frozen = a.request})
  end
end

local function last_look()
  local ends, posted  -- the lease, and whether it may be at the provider already
  for _, id in ipairs(a.members) do
    local s = state_of(id)
    if mine(s) then ends, posted = math.min(ends or s.next, s.next), posted or s.posted end
  end
  if not ends or now + a.spare > ends then return {} end
  if held_back() then
    give_turn_back('resend', a.turn)
    return give_back(now)
  end
  if posted then
    if not repeatable(a.members) then return {} end
  else
    local gone = barred()
    if #gone == #a.members then give_turn_back('resend', a.turn) end
    if #gone > 0 then return #gone < #a.members and {now, math.max(a.turn - now, 0), 1, gone} or {} end
  end
  local wait, again = take_turn('resend', rate_of('resend', a.rate), a.turn)
  if now + wait + a.spare > ends then  -- requests to the provider are held back for longer than the lease
    give_turn_back('resend', now + wait)
    return give_back(now + wait)
  end
  again = again or wait > AHEAD  -- the clock was set back: a request must leave milliseconds after its last look
  if not again then freeze() end
  return {now, wait, again and 1 or 0, {}}
end

return last_look()
