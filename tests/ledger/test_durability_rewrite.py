"""Batches go only where nothing that Redis has answered can get lost: also not while it rewrites its log."""

from __future__ import annotations

from redis import Redis

from shared.ledger.durability import keeps_every_write


def test_no_batch_where_a_rewrite_puts_off_the_disk(redis: Redis) -> None:
    """With `no-appendfsync-on-rewrite yes` nothing is forced to the disk while the log is rewritten, whatever `appendfsync` says."""
    before = redis.config_get("append*")
    redis.config_set("appendonly", "yes")
    redis.config_set("appendfsync", "always")
    redis.config_set("no-appendfsync-on-rewrite", "yes")
    try:
        assert not keeps_every_write(redis)
        redis.config_set("no-appendfsync-on-rewrite", "no")
        assert keeps_every_write(redis)
    finally:
        redis.config_set("no-appendfsync-on-rewrite", "no")
        for name in ("appendonly", "appendfsync"):
            redis.config_set(name, str(before[name]))
