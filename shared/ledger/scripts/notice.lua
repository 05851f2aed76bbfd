-- @include base outbox
-- Take the next thing that the owner must be told of. Keeps true: one teller at a time per thing; what a teller that
-- died had taken comes again.
-- ARGV[2]: {lease}.
-- Returns {member, version, count or '', detail or ''}, or {}.
local a = cjson.decode(ARGV[2])
local member = redis.call('ZRANGEBYSCORE', NOTICES, '-inf', int(now), 'LIMIT', 0, 1)[1]
if not member then return {} end
redis.call('ZADD', NOTICES, int(now + a.lease), member)
local v = redis.call('HMGET', 'eg:' .. member, 'count', 'detail')
return {member, redis.call('HGET', NOTICES .. ':versions', member) or '0', v[1] or '', v[2] or ''}
