#!lua flags=allow-oom
-- @include base
-- Remember that a console session has ended. Keeps true: no copy of its cookie opens the console again; a session can
-- be ended on a full ledger, too.
-- ARGV[2]: {session, lasts (milliseconds that its cookie would stay valid)}.
-- Returns 1.
local a = cjson.decode(ARGV[2])
redis.call('SET', 'eg:console:ended:' .. a.session, '', 'PX', int(a.lasts))
return 1
