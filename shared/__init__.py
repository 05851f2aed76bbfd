"""Everything that functions, scheduler and workers have in common: the campaigns, the ledger, and the use cases on it."""
