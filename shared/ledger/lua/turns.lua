-- @include base
-- Turns at a provider: all processes together send no more requests than its rate allows.

local AHEAD = $AHEAD

-- How many requests per second a provider allows: as set, else as it last said itself, else 2.
local function rate_of(provider, set)
  return set > 0 and set or tonumber(redis.call('GET', 'eg:rate:' .. provider) or '2')
end

-- The latest turns at a provider, the earliest first; some may be in the future, but not far unless the clock was set
-- back.
local TURNS = 50
local FAR = 10000  -- milliseconds: a turn further ahead was planned before the clock was set back
local function turns_at(provider)
  local turns = {}
  for at in string.gmatch(redis.call('GET', 'eg:turns:' .. provider) or '', '%d+') do
    if tonumber(at) < now + FAR then turns[#turns + 1] = tonumber(at) end
  end
  return turns
end

local function keep_turns(provider, turns)
  table.sort(turns)
  if #turns > TURNS then table.remove(turns, 1) end
  for i, at in ipairs(turns) do turns[i] = int(at) end
  redis.call('SET', 'eg:turns:' .. provider, table.concat(turns, ','), 'PX', 60000)
end

-- Take a turn out of the list; nil if it is too old to be there.
local function drop_turn(turns, planned)
  for i, at in ipairs(turns) do
    if at == planned then return table.remove(turns, i) end
  end
end

-- Until when requests to a provider are held back, because it asked for that.
local function held_until(provider) return tonumber(redis.call('GET', 'eg:hold:' .. provider) or '0') end

-- How many turns may be taken at once, and the milliseconds after which that many are free again: a second's turns
-- after a second (if they are more than ten, a share of them several times a second), and 1.5 % more, so that jitter
-- never squeezes one too many into the provider's window.
local function spacing(rate)
  local groups = math.max(math.ceil(rate / 10), 1)
  return math.max(math.floor(rate / groups), 1), 1015 / math.min(groups, rate)
end

-- Plan a turn at a provider, after all others: returns the instant (it is then ours), or nil and the wait if that is
-- longer than `longest`.
local function turn(provider, rate, longest)
  local turns, at_once, apart = turns_at(provider), spacing(rate)
  local before = turns[#turns - at_once + 1]
  local at = math.max(now, held_until(provider), before and math.ceil(before + apart) or 0)
  if at - now > longest then return nil, at - now end
  turns[#turns + 1] = at
  keep_turns(provider, turns)
  return at
end

-- Whether a turn has room among those that were taken or come before it. Turns that were taken are at most AHEAD in the
-- future; the others yield.
local function fits(turns, at, at_once, apart)
  local all = {at}
  for _, other in ipairs(turns) do
    if other <= at + AHEAD then all[#all + 1] = other end
  end
  table.sort(all)
  for i = 1, #all - at_once do
    if all[i] <= at and at <= all[i + at_once] and all[i + at_once] - all[i] < apart then return false end
  end
  return true
end

-- Take a planned turn, or plan it again if it is past, others were moved so that it has no room, requests to the
-- provider are held back, or the clock was set back since. Returns the milliseconds to wait for it, and whether it was
-- planned again.
local function take_turn(provider, rate, planned)
  local turns, at_once, apart = turns_at(provider), spacing(rate)
  drop_turn(turns, planned)
  if planned > now + FAR then planned = now end
  local wanted = math.max(planned, now, held_until(provider))
  local at = wanted
  for _, other in ipairs(turns) do
    if fits(turns, at, at_once, apart) then break end
    at = math.max(wanted, math.ceil(other + apart))
  end
  turns[#turns + 1] = at
  keep_turns(provider, turns)
  return at - now, at > math.max(planned, now)
end

-- A planned turn is no longer needed.
local function give_turn_back(provider, planned)
  local turns = turns_at(provider)
  drop_turn(turns, planned)
  keep_turns(provider, turns)
end

-- A request left later than its turn.
local function move_turn(provider, taken, left)
  local turns = turns_at(provider)
  if not drop_turn(turns, taken) then return end
  turns[#turns + 1] = left
  keep_turns(provider, turns)
end

-- Hold back all requests to a provider for this long.
local function hold(provider, milliseconds)
  local till = math.max(now + milliseconds, held_until(provider))
  redis.call('SET', 'eg:hold:' .. provider, int(till), 'PX', int(till - now + 1))
end
