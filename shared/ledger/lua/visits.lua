-- @include base outbox limits first_emails
-- What becomes of a sign-up that proves nothing: it is let through, held for confirmation, refused, or has no effect.

-- The last tenth of the memory is for people who are here already, so that no flood holds up their emails.
local MOST_MEMORY = 0.9
local function no_room_for_visitors()
  local memory = info('memory')
  local function bytes(name) return tonumber(string.match(memory, '\n' .. name .. ':(%d+)') or '0') end
  local most = bytes('maxmemory')
  return most > 0 and bytes('used_memory') - bytes('mem_not_counted_for_evict') > MOST_MEMORY * most
end

local function is_reached(limit) return tonumber(redis.call('GET', 'eg:limit:' .. limit.key) or '0') >= limit.most end

-- Whether a ceiling for all is reached. The owner is told.
local function above_ceiling(ceilings)
  for _, ceiling in ipairs(ceilings) do
    if is_reached(ceiling) then
      alert('held', 'more than ' .. int(ceiling.most) .. ' sign-ups in ' .. int(ceiling.window / 3600000) .. ' h')
      return true
    end
  end
  return false
end

-- A network that is above its limit counts in no wider one, so that one subscriber does not use up the share of others;
-- and where a wider one is above, no keys are made for the narrower ones.
local function above_network(networks)
  for _, limit in ipairs(networks) do
    if is_reached(limit) then return true end
  end
  for _, limit in ipairs(networks) do
    if wait_after(limit) > 0 then return true end
  end
  return false
end

-- Whether too many spellings of one mailbox signed up in the same week (plus-tags, Gmail's dots).
local function is_spelled_anew(mailbox, contact)
  local key = 'eg:limit:' .. mailbox.key
  if redis.call('SISMEMBER', key, contact) == 1 then return false end
  if redis.call('SCARD', key) >= mailbox.most then return true end
  redis.call('SADD', key, contact)
  redis.call('PEXPIRE', key, int(mailbox.window))
  return false
end

local function spent_key(challenge) return 'eg:spent:' .. challenge.id end

-- A challenge counts once.
local function is_solved(challenge)
  if not challenge then return false end
  return redis.call('SET', spent_key(challenge), '', 'NX', 'PX', int(challenge.keep)) ~= false
end

-- Whether it must not be let through; an accepted one is counted.
local function must_wait(v, solved, contact)
  local ceilings = solved and v.solved_ceilings or v.ceilings
  if v.confirm == 'always' or v.must_solve and not solved then return true end
  if first_emails_stopped() or above_ceiling(ceilings) then return true end
  if not solved and above_network(v.networks) then return true end
  if is_spelled_anew(v.mailbox, contact) then return true end
  for _, ceiling in ipairs(ceilings) do wait_after(ceiling) end
  return false
end

-- v: {ceilings, solved_ceilings, networks (narrowest first), mailbox (how many spellings), address (limits), confirm
-- (never, always, under-load), challenge: {id, keep}, must_solve}. Returns nil to let it through, or held, refused or
-- repeated.
local function turned_away(v, contact)
  local solved = is_solved(v.challenge)
  if must_wait(v, solved, contact) then
    if v.confirm ~= 'never' then return 'held' end
    if solved then redis.call('DEL', spent_key(v.challenge)) end
    return 'refused'
  end
  if wait_after(v.address) > 0 then return 'repeated' end
  return nil
end
