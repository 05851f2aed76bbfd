-- @include base outbox limits first_emails
-- What becomes of a sign-up that proves nothing: it is let through, held for confirmation, refused, or has no effect.

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

-- The widest network is counted first: what it holds back makes no keys for the narrower ones.
local function above_network(networks)
  for _, limit in ipairs(networks) do
    if wait_after(limit) > 0 then return true end
  end
  return false
end

-- A challenge counts once.
local function is_solved(challenge)
  if not challenge then return false end
  return redis.call('SET', 'eg:spent:' .. challenge.id, '', 'NX', 'PX', int(challenge.keep)) ~= false
end

-- v: {ceilings, networks, address (limits), confirm (never, always, under-load), challenge: {id, keep}, must_solve}.
-- Returns nil to let it through, or held · refused · repeated.
local function turned_away(v)
  local solved = is_solved(v.challenge)
  local held = v.confirm == 'never' and 'refused' or 'held'
  if v.confirm == 'always' or v.must_solve and not solved then return held end
  if first_emails_stopped() or above_ceiling(v.ceilings) then return held end
  if not solved and above_network(v.networks) then return held end
  if wait_after(v.address) > 0 then return 'repeated' end
  for _, ceiling in ipairs(v.ceilings) do wait_after(ceiling) end
  return nil
end
