-- @include outbox
-- Have things recorded in Notion again. Keeps true: what is recorded is their state at that time, so once too often
-- does no harm.
-- ARGV[2]: {things: [[kind, id], …]} with kind contact, enrollment or email.
-- Returns how many.
local a = cjson.decode(ARGV[2])
for _, thing in ipairs(a.things) do dirty(thing[1], thing[2]) end
return #a.things
