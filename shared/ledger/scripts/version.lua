-- @include base
-- The ledger's version. Keeps true: nothing is written.
-- Returns the version; without a mark, the version it counts as.
return ledger_version
