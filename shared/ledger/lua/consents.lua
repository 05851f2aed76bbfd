-- @include base
-- What a contact agreed to, and when that ended: a history that is only added to.

local STRENGTH = {unproved = 0, confirmed = 1, proved = 2}
local MOST_UNPROVED = 20  -- entries, after which a form that proves nothing adds none

local function add_consent(contact, entry)
  local key = 'eg:consents:' .. contact
  local last = redis.call('LINDEX', key, -1)
  last = last and cjson.decode(last) or {}
  local same = last.what == entry.what and last.text == entry.text
  if same and (STRENGTH[last.proof] or 0) >= STRENGTH[entry.proof] then return true end
  if entry.proof == 'unproved' and redis.call('LLEN', key) >= MOST_UNPROVED then return false end
  entry.at = now
  redis.call('RPUSH', key, cjson.encode(entry))
  return true
end

-- The contact agrees. Only as strong a proof replaces the words of an earlier consent; one of an earlier release, or of
-- a restore, counts as confirmed.
local function agree(contact, consent)
  local key = 'eg:contact:' .. contact
  local known = fields(key, 'consent_at', 'consent_proof')
  local is_kept = add_consent(contact, {what = 'given', text = consent.text, page = consent.page,
    source = consent.source, network = consent.network, proof = consent.proof})
  local before = known.consent_at and STRENGTH[known.consent_proof or 'confirmed'] or 0
  if not is_kept or before > STRENGTH[consent.proof] then return end
  redis.call('HDEL', key, 'consent_text', 'consent_page')
  redis.call('HSET', key, 'consent_at', int(now), 'consent_proof', consent.proof)
  if consent.text then redis.call('HSET', key, 'consent_text', consent.text) end
  if consent.page then redis.call('HSET', key, 'consent_page', consent.page) end
end
