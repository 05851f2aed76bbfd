-- @include base outbox lifecycle
-- Forget what Notion would be told of: there is no Notion.
-- ARGV[2]: how many things at the most.
-- Returns how many those were.
local members = redis.call('ZRANGEBYSCORE', OUTBOX, '-inf', int(now), 'LIMIT', 0, tonumber(ARGV[2]))
for _, member in ipairs(members) do
  redis.call('ZREM', OUTBOX, member)
  redis.call('HDEL', 'eg:outbox:versions', member)
  told(member)
end
return #members
