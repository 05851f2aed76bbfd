#!lua flags=allow-oom
-- @include outbox
-- A process saw that something is wrong. Keeps true: no alert is lost, and none is sent twice an hour.
-- ARGV[2]: {cause, detail}.
local a = cjson.decode(ARGV[2])
alert(a.cause, a.detail)
return 1
