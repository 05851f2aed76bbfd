#!lua flags=allow-oom
-- @include base outbox lifecycle
-- Drop outbox entries, because there is no Notion.
-- ARGV[2]: the maximum number of entries.
-- Returns how many were dropped.
local members = redis.call('ZRANGEBYSCORE', OUTBOX, '-inf', int(now), 'LIMIT', 0, tonumber(ARGV[2]))
for _, member in ipairs(members) do
  redis.call('ZREM', OUTBOX, member)
  redis.call('HDEL', 'eg:outbox:versions', member)
  told(member)
end
return #members
