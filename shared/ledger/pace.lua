-- A turn at a provider, or the wish to leave it alone for a while. Keeps true: all processes together ask no more often than the rate allows.
-- ARGV[2]: {provider, rate, longest, hold}. Returns the milliseconds to wait for the turn, which is then ours; or, negative, how long
-- it would have been when that is more than `longest`.
local a = cjson.decode(ARGV[2])
if a.hold then
  redis.call('SET', 'eg:pace:' .. a.provider, int(now + a.hold), 'PX', int(a.hold + 60000))
  return 0
end
local wait, longer = turn(a.provider, rate_of(a.provider, a.rate), a.longest)
return wait and math.ceil(wait) or -math.ceil(longer)
