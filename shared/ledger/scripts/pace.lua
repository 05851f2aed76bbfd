#!lua flags=allow-oom
-- @include base turns
-- Take a turn at a provider, or hold back requests to it for a while. Keeps true: all processes together send no more
-- requests than the rate allows.
-- ARGV[2]: {provider, rate, longest, hold}.
-- Returns the milliseconds to wait for the turn, which is then ours; or, if negative, how long the wait would have
-- been, if that is more than `longest`.
local a = cjson.decode(ARGV[2])
if a.hold then
  hold(a.provider, a.hold)
  return 0
end
local at, longer = turn(a.provider, rate_of(a.provider, a.rate), a.longest)
return at and at - now or -longer
