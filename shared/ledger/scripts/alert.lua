-- @include outbox
-- Something that a process saw is wrong. Keeps true: no alert is lost, and none is told twice an hour.
-- ARGV[2]: {cause, detail}.
local a = cjson.decode(ARGV[2])
alert(a.cause, a.detail)
return 1
