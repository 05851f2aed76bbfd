-- @include base
-- Which version the ledger has. Keeps true: a new ledger is marked with the newest version, an old one without a mark
-- with 1.
-- Returns the version.
return ledger_version
