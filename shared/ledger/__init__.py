"""The ledger: the single source of truth, in Redis.

May import core and domain; the only package that names a Redis key."""
