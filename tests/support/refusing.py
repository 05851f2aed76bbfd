"""A Redis that takes no writes for a while, in each way that it has; a real one, and it says so itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from redis import Redis

from tests.support.waiting import until

Refuse = Callable[[bool], object]


def _no_disk(redis: Redis, on: bool) -> None:
    """Its last snapshot has failed, once and for all, because a folder had its name; whether that counts depends on
    whether it should make any."""
    redis.config_set("save", "3600 1000000" if on else "")
    if on and not _has_failed(redis):
        folder = Path(cast(dict[str, str], redis.config_get("dir"))["dir"], "dump.rdb")
        folder.mkdir()
        redis.bgsave()
        until(lambda: _has_failed(redis))
        folder.rmdir()


def _has_failed(redis: Redis) -> bool:
    return bool(redis.info("persistence")["rdb_last_bgsave_status"] == "err")


REFUSALS: dict[str, Callable[[Redis, bool], object]] = {
    "READONLY": lambda redis, on: redis.replicaof("127.0.0.1", "9") if on else redis.replicaof("NO", "ONE"),
    "NOREPLICAS": lambda redis, on: redis.config_set("min-replicas-to-write", int(on)),
    "OOM": lambda redis, on: redis.config_set("maxmemory", int(on)),
    "MISCONF": _no_disk,
}


@contextmanager
def refusing(redis: Redis, how: str) -> Iterator[None]:
    """For as long as this lasts.

    Args:
        redis: refuses.
        how: one of REFUSALS.
    """
    REFUSALS[how](redis, True)
    try:
        yield
    finally:
        REFUSALS[how](redis, False)


@contextmanager
def forbidding(redis: Redis, command: str) -> Iterator[None]:
    """Its user (ACL) may not run a command, for as long as this lasts."""
    redis.acl_setuser("default", enabled=True, commands=[f"-{command}"])
    try:
        yield
    finally:
        redis.acl_setuser("default", enabled=True, commands=[f"+{command}"])
