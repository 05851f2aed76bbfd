"""The ledger: the one record of the truth, in Redis.

May import core and domain; the only package that names a Redis key."""
