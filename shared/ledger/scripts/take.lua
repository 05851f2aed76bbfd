-- @include base outbox gate
-- Take the next thing of the outbox that Notion must be told of. Keeps true: one recorder at a time per thing; what a
-- recorder that died had taken comes again; a copy that may not send writes over no row either, for it may be the only
-- word of what another copy sent, or a lost one.
-- ARGV[2]: {lease, fenced (the fence must be on)}.
-- Returns {member, version}, or {}.
local a = cjson.decode(ARGV[2])
if fenced() or a.fenced and redis.call('HEXISTS', FENCE, 'on') == 0 then return {} end
local member = redis.call('ZRANGEBYSCORE', OUTBOX, '-inf', int(now), 'LIMIT', 0, 1)[1]
if not member then return {} end
redis.call('ZADD', OUTBOX, int(now + a.lease), member)
return {member, redis.call('HGET', 'eg:outbox:versions', member) or '0'}
