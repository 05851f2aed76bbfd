-- @include base turns
-- A turn at a provider, or the wish to leave it alone for a while. Keeps true: all processes together ask no more often
-- than the rate allows.
-- ARGV[2]: {provider, rate, longest, hold}.
-- Returns the milliseconds to wait for the turn, which is then ours; or, negative, how long it would have been when
-- that is more than `longest`.
local a = cjson.decode(ARGV[2])
if a.hold then
  hold(a.provider, a.hold)
  return 0
end
local at, longer = turn(a.provider, rate_of(a.provider, a.rate), a.longest)
return at and at - now or -longer
