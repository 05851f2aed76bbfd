-- @include outbox
-- Have Notion told of things once more. Keeps true: what it is told is their state by then, so once too often does
-- nothing.
-- ARGV[2]: {things: [[kind, id], …]} with kind contact, enrollment or email.
-- Returns how many.
local a = cjson.decode(ARGV[2])
for _, thing in ipairs(a.things) do dirty(thing[1], thing[2]) end
return #a.things
