"""Batches go only where nothing that Redis has answered can get lost."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import NoPermissionError

from local import valkey
from shared.ledger.client import Ledger
from shared.ledger.durability import keeps_every_write
from tests.conftest import Clock
from tests.support.waiting import until
from tests.support.world import SETTINGS, World

BATCHES = SETTINGS.model_copy(update={"resend_batch_above": 1})


@pytest.fixture
def configured(redis: Redis) -> Iterator[Redis]:
    """The database, whose way of keeping its data a test may change."""
    before = redis.config_get("append*")
    yield redis
    for name in ("appendonly", "appendfsync"):
        redis.config_set(name, str(before[name]))


@pytest.mark.parametrize(
    ("appendonly", "appendfsync", "kept"),
    [("yes", "always", True), ("yes", "everysec", False), ("yes", "no", False), ("no", "always", False)],
)
def test_a_batch_needs_every_write_on_disk(
    configured: Redis, clock: Clock, appendonly: str, appendfsync: str, kept: bool
) -> None:
    """With `everysec`, the last second of a machine that stops is lost, and a batch of it would be sent again under
    other keys."""
    configured.config_set("appendfsync", appendfsync)
    configured.config_set("appendonly", appendonly)
    assert keeps_every_write(configured) == kept
    world = World(Ledger(configured, clock=clock), clock, BATCHES)
    for number in range(3):
        world.sign_up(email=f"person{number}@example.org")
    world.work()
    assert world.provider.requests == ([3] if kept else [1, 1, 1])


def test_a_redis_that_hides_its_settings_counts_as_unsafe(configured: Redis) -> None:
    """Managed services forbid CONFIG."""
    configured.config_set("appendfsync", "always")
    connection = configured.connection_pool.connection_kwargs
    configured.acl_setuser("quiet", enabled=True, passwords=["+quiet"], keys=["*"], commands=["+@all", "-config"])
    with Redis(
        host=connection["host"], port=connection["port"], username="quiet", password="quiet", decode_responses=True
    ) as quiet:
        with pytest.raises(NoPermissionError):
            quiet.config_get("appendfsync")
        assert not keeps_every_write(quiet)
    configured.acl_deluser("quiet")


def test_a_replica_could_take_over_without_the_last_writes(configured: Redis, tmp_path: Path) -> None:
    """A promoted replica may lack them, so no batch goes while one is attached."""
    configured.config_set("appendfsync", "always")
    primary = configured.connection_pool.connection_kwargs
    with (
        valkey.serve(tmp_path, 0, secrets.token_hex(8)) as server,
        Redis.from_url(server.url, password=server.password) as replica,
    ):
        replica.config_set("masterauth", primary["password"])
        replica.replicaof(primary["host"], primary["port"])
        until(lambda: not keeps_every_write(configured))
        replica.replicaof("NO", "ONE")
        until(lambda: keeps_every_write(configured))


def test_the_last_second_is_lost(raw: Redis, redis: Redis, clock: Clock) -> None:
    """What went out singly is recognized by its key when the ledger no longer knows that it went: no one gets two."""
    world = World(Ledger(redis, clock=clock), clock, BATCHES)
    runs = [world.sign_up(email=f"person{number}@example.org") for number in range(20)]
    world.release()
    on_disk = {key: (max(raw.pttl(key), 0), raw.dump(key) or b"") for key in raw.scan_iter()}
    world.work()
    raw.flushall()
    for key, (expires, value) in on_disk.items():
        raw.restore(key, expires, value)
    clock.advance(seconds=30)
    world.work()
    assert all(world.states(run)[0] == "sent" for run in runs)
    assert (len(world.provider.accepted), world.provider.twice) == (20, [])


def test_no_batch_if_a_log_rewrite_may_delay_disk_writes(redis: Redis) -> None:
    """With `no-appendfsync-on-rewrite yes` nothing is forced to the disk while the log is rewritten; `appendfsync` does
    not change that."""
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
