-- @include base outbox
-- Take the next thing of the outbox that Notion must be told of. Keeps true: one recorder at a time per thing; what a
-- recorder that died had taken comes again.
-- ARGV[2]: {lease}.
-- Returns {member, version}, or {}.
local a = cjson.decode(ARGV[2])
local member = redis.call('ZRANGEBYSCORE', OUTBOX, '-inf', int(now), 'LIMIT', 0, 1)[1]
if not member then return {} end
redis.call('ZADD', OUTBOX, int(now + a.lease), member)
return {member, redis.call('HGET', 'eg:outbox:versions', member) or '0'}
