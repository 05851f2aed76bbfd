#!lua flags=allow-oom
-- @include base outbox
-- Take what to tell the owner next: any alert goes ahead of all leads. Leads are told one by one, and if more are due
-- than may go in this minute, as one summary. Keeps true: one worker at a time per alert or lead; what was taken by a
-- worker that died comes again.
-- ARGV[2]: {lease}.
-- Returns {member, version, count or '', detail or ''}; for a summary {'leads', '', how often telling it has failed or
-- '', '', [lead…], [version…]}; or {}.
local a = cjson.decode(ARGV[2])
local SUMMED_UP = 1000  -- leads of one summary

local function take(member)
  redis.call('ZADD', list_of(member), int(now + a.lease), member)
  return redis.call('HGET', NOTICES .. ':versions', member) or '0'
end

-- The first alert that is due. Earlier releases kept leads among the alerts.
local function first_alert()
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', NOTICES, '-inf', int(now), 'LIMIT', 0, 5000)) do
    if list_of(member) == NOTICES then return member end
    redis.call('ZADD', LEADS, 'NX', int(now), member)
    redis.call('ZREM', NOTICES, member)
  end
end

local function next_leads()
  local room = LEADS_A_MINUTE - leads_this_minute()
  local due = redis.call('ZRANGEBYSCORE', LEADS, '-inf', int(now), 'LIMIT', 0, SUMMED_UP)
  if room <= 0 or #due == 0 then return {} end
  if #due <= room then return {due[1], take(due[1]), '', ''} end
  local versions = {}
  for i, lead in ipairs(due) do versions[i] = take(lead) end
  return {'leads', '', redis.call('HGET', NOTICES .. ':failures', due[1]) or '', '', due, versions}
end

local member = first_alert()
if not member then return next_leads() end
local v = redis.call('HMGET', 'eg:' .. member, 'count', 'detail')
return {member, take(member), v[1] or '', v[2] or ''}
