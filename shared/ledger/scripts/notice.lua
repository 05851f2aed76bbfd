#!lua flags=allow-oom
-- @include base outbox
-- Take the next alert for the owner. Keeps true: one worker at a time per alert; an alert taken by a worker that died
-- comes again.
-- ARGV[2]: {lease}.
-- Returns {member, version, count or '', detail or ''}, or {}.
local a = cjson.decode(ARGV[2])
local member = redis.call('ZRANGEBYSCORE', NOTICES, '-inf', int(now), 'LIMIT', 0, 1)[1]
if not member then return {} end
redis.call('ZADD', NOTICES, int(now + a.lease), member)
local v = redis.call('HMGET', 'eg:' .. member, 'count', 'detail')
return {member, redis.call('HGET', NOTICES .. ':versions', member) or '0', v[1] or '', v[2] or ''}
