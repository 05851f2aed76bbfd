-- @include base
-- Which version the ledger has. Keeps true: nothing is written.
-- Returns the version; without a mark, the one that it counts as.
return ledger_version
