"""The clients of this process, made once and on first use; making one opens no connection."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from redis import Redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ExecAbortError, MasterDownError, OutOfMemoryError, ReadOnlyError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from shared.core import log, settings
from shared.core.settings import Settings
from shared.domain.catalog import CAMPAIGNS, Catalog, load
from shared.ledger.client import Ledger


@cache
def current_settings() -> Settings:
    """This process's settings; the first use also sets up its logs."""
    found = settings.load()
    log.configure(found.log_level)
    return found


def connect(found: Settings, *, decode: bool = True) -> Redis:
    """A Redis client that rides out two seconds without a server.

    Args:
        found: the settings.
        decode: whether answers come as text (ours) or as bytes (RQ's).
    """
    return Redis.from_url(
        found.redis_url,
        password=found.redis_password or None,
        decode_responses=decode,
        socket_connect_timeout=2,
        socket_timeout=5,
        retry=Retry(ExponentialBackoff(cap=0.5, base=0.05), retries=6, supported_errors=(RedisConnectionError,)),
    )


def is_away(error: RedisError) -> bool:
    """Whether Redis is away, or takes no writes for now: full, a replica (or just made one), without its replicas, unable to write
    to its disk, busy with a script.

    Args:
        error: what it answered, or did not.
    """
    if isinstance(error, (RedisConnectionError, RedisTimeoutError, OutOfMemoryError, ReadOnlyError, MasterDownError, ExecAbortError)):
        return True
    return isinstance(error, ResponseError) and any(word in str(error) for word in ("MISCONF ", "NOREPLICAS ", "UNBLOCKED ", "BUSY "))


@cache
def ledger() -> Ledger:
    """The ledger."""
    found = current_settings()
    return Ledger(connect(found), lease=found.lease, job_timeout=found.job_timeout)


@cache
def catalog() -> Catalog:
    """The campaigns: the owner's own where CAMPAIGNS_DIR is set, else those of this release."""
    own = current_settings().campaigns_dir
    return load(Path(own) if own else CAMPAIGNS)
