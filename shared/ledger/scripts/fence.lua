#!lua flags=allow-oom
-- @include gate
-- Set some fields of the fence and remove others. Keeps true: both, or neither; also on a full ledger, so that a copy
-- that must stop sending stops.
-- ARGV[2]: {set: {name: text}, remove: [name…]}.
-- Returns 1.
local a = cjson.decode(ARGV[2])
for name, text in pairs(a.set) do redis.call('HSET', FENCE, name, text) end
for _, name in ipairs(a.remove) do redis.call('HDEL', FENCE, name) end
return 1
