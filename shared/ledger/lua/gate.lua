-- @include base
-- What holds back all sending: the fence of a copy that may not be the only one, and the gate.

local GATE, FENCE = 'eg:gate', 'eg:fence'

-- Why this copy of the ledger may not send, or nil: if the fence is on, this start of Redis must have been confirmed in
-- Notion.
local function fenced()
  local v = redis.call('HMGET', FENCE, 'on', 'server', 'why')
  if not v[1] then return nil end
  local server = info('server')
  if server == '' then return 'fenced: Redis does not let its user run INFO' end
  if v[2] and string.find(server, 'run_id:' .. v[2], 1, true) then return nil end
  return 'fenced: ' .. (v[3] or 'waiting for a first answer from Notion')
end

-- The gate if it is closed, or nil. After its time, release lets a single step through as a probe; an accepted email
-- opens it.
local function closed_gate()
  local v = redis.call('HMGET', GATE, 'reason', 'until', 'probe')
  return v[1] and {reason = v[1], till = tonumber(v[2]), probe = v[3]} or nil
end

-- What holds back sending, or nil. The fence first: a copy that may not send must not send a probe either.
local function gate()
  local why = fenced()
  if why then return {reason = why} end
  return closed_gate()
end
local function shut(held) return held and (not held.till or held.till > now) end
