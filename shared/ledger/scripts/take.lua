-- @include base outbox gate
-- Take the next outbox entry for Notion. Keeps true: one recorder at a time per entry; an entry taken by a recorder
-- that died comes again; a copy that may not send overwrites no row either, as the row may be the only record of what
-- another copy, or a lost one, has sent.
-- ARGV[2]: {lease, fenced (the fence must be on)}.
-- Returns {member, version}, or {}.
local a = cjson.decode(ARGV[2])
if fenced() or a.fenced and redis.call('HEXISTS', FENCE, 'on') == 0 then return {} end
local member = redis.call('ZRANGEBYSCORE', OUTBOX, '-inf', int(now), 'LIMIT', 0, 1)[1]
if not member then return {} end
redis.call('ZADD', OUTBOX, int(now + a.lease), member)
return {member, redis.call('HGET', 'eg:outbox:versions', member) or '0'}
