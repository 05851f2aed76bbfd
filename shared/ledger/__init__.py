"""The ledger: the one record of the truth, in Redis. The only package that names a Redis key. May import core and domain."""
