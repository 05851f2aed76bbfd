-- The start of every script: the time, the forms of keys and ids, and the fields of a step. ARGV[1] is the time
-- (tests), or '' for the server's own. Instants are whole milliseconds since 1970 UTC. A step's fields in its
-- enrollment's hash are `<number>.<field>`:
--   state, due, offset; next (not before this instant: due, retry, or the end of a lease); look (counts its wake-ups);
--   attempts; lease (who holds it); posted (first post whose outcome is not a definite refusal); ambiguous (an outcome
--   was never learned); frozen (the request that was posted); solo (how many emails a batch may have that it joins; 1:
--   it goes alone); sent, by, id, why.

-- No program makes decisions on a ledger whose version it does not know: this check comes before anything else is read
-- or written. A ledger without a mark is new, or comes from a release that set none; then it has version 1: a scheduler
-- was at work on it (eg:tick), a contact was enrolled (eg:runs), or a job was queued for Notion or the owner (eg:jobs).
-- Other keys (workers' registrations, the fence, a gate) prove nothing.
local version_mark = redis.call('GET', 'eg:version')
local ledger_version = tonumber(version_mark
  or redis.call('EXISTS', 'eg:tick', 'eg:runs', 'eg:jobs') > 0 and 1 or $VERSION)
if not (ledger_version and ledger_version >= 1 and ledger_version <= $VERSION) then
  return redis.error_reply('EGVERSION ' .. version_mark)
end

-- Called wherever one of those three keys is written: a new ledger must not pass as one of version 1.
local function mark()
  if not version_mark then redis.call('SET', 'eg:version', ledger_version) end
end

local LEASE, WINDOW, KEEP_FINISHED = $LEASE, $WINDOW, $KEEP_FINISHED

local function clock()
  if ARGV[1] ~= '' then return tonumber(ARGV[1]) end
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
local now = clock()

local function int(value) return string.format('%d', value) end
local function enrollment_key(enrollment) return 'eg:enrollment:' .. enrollment end
local function email_id(enrollment, step) return enrollment .. '-' .. step end
local function frozen_key(request) return 'eg:frozen:' .. request end
local function parse_email_id(id) return string.match(id, '^(.+)%-(%d+)$') end
local function parse_job_id(id) return string.match(id, '^(.+)%-(%d+)%-(%d+)$') end

-- What Redis says of itself; '' if its user (ACL) may not ask.
local function info(section)
  local said = redis.pcall('INFO', section)
  return type(said) == 'string' and said or ''
end

-- Whether a key holds a hash: a key of the wrong type must not stop the others.
local function is_hash(key) return redis.call('TYPE', key).ok == 'hash' end

-- A hash as a table.
local function hash(key)
  local flat, map = redis.call('HGETALL', key), {}
  for i = 1, #flat, 2 do map[flat[i]] = flat[i + 1] end
  return map
end

-- Some fields of a hash as a table; an absent field is nil.
local function fields(key, ...)
  local names, map = {...}, {}
  local values = redis.call('HMGET', key, ...)
  for i = 1, #names do map[names[i]] = values[i] or nil end
  return map
end

local function step_of(enrollment, step)
  local s = tostring(step) .. '.'
  local v = redis.call('HMGET', enrollment_key(enrollment), s .. 'state', s .. 'due', s .. 'next', s .. 'look',
    s .. 'attempts', s .. 'lease', s .. 'posted', s .. 'ambiguous', s .. 'frozen', s .. 'solo', s .. 'why',
    s .. 'forced')
  return {state = v[1] or nil, due = tonumber(v[2]), next = tonumber(v[3]), look = v[4] or '0',
    attempts = tonumber(v[5]) or 0, lease = v[6] or nil, posted = tonumber(v[7]), ambiguous = v[8] == '1',
    frozen = v[9] or nil, most = tonumber(v[10]), why = v[11] or nil, forced = v[12] == '1'}
end

-- Set fields of a step; false removes one.
local function set_step(enrollment, step, changes)
  local key, set, gone = enrollment_key(enrollment), {}, {}
  for name, value in pairs(changes) do
    local field = step .. '.' .. name
    if value == false then
      gone[#gone + 1] = field
    else
      set[#set + 1] = field
      set[#set + 1] = type(value) == 'number' and int(value) or value
    end
  end
  if #set > 0 then redis.call('HSET', key, unpack(set)) end
  if #gone > 0 then redis.call('HDEL', key, unpack(gone)) end
end
