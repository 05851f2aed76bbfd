"""The clients of this process, created only here, on first use; creating one opens no connection.

Modules that not every process needs are imported on first use.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from redis import Redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ExecAbortError, MasterDownError, OutOfMemoryError, ReadOnlyError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from shared.core import log, settings
from shared.core.settings import Settings
from shared.domain.campaign_files import CAMPAIGNS, load
from shared.domain.catalog import Catalog
from shared.ledger.client import Ledger
from shared.ledger.pacing import Pacer
from shared.ledger.redis_errors import is_denied

if TYPE_CHECKING:
    from shared.integrations.discord import Discord
    from shared.integrations.notion import Notion
    from shared.integrations.resend import Resend

LEAST_RATE = 2.0  # requests a second that Resend has always allowed


@cache
def current_settings() -> Settings:
    """This process's settings; the first use also sets up its logs."""
    found = settings.load()
    log.configure(found.log_level)
    return found


def connect(found: Settings, *, decode: bool = True) -> Redis:
    """A Redis client that survives two seconds without a server.

    Args:
        found: the settings.
        decode: whether responses are text (ours) or bytes (RQ's).
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
    """Whether Redis is unavailable, or accepts no writes for now: full, a replica (or just made one), without its
    replicas, unable to write to disk, busy with a script, without that database, or its user (ACL) may not do this.

    Args:
        error: the error it returned or caused.
    """
    if isinstance(
        error,
        (RedisConnectionError, RedisTimeoutError, OutOfMemoryError, ReadOnlyError, MasterDownError, ExecAbortError),
    ):
        return True
    return is_denied(error) or any(
        word in str(error) for word in ("MISCONF ", "NOREPLICAS ", "UNBLOCKED ", "BUSY ", "DB index is out of range")
    )


@cache
def ledger() -> Ledger:
    """The ledger."""
    found = current_settings()
    return Ledger(connect(found), lease=found.lease, job_timeout=found.job_timeout)


@cache
def catalog() -> Catalog:
    """The campaigns: the owner's own if CAMPAIGNS_DIR is set, else those of this release."""
    own = current_settings().campaigns_dir
    return load(Path(own) if own else CAMPAIGNS)


def notion_pacer() -> Pacer:
    """Turns at Notion; all processes together take NOTION_RATE a second."""
    return Pacer(ledger(), "notion", current_settings().notion_rate)


def resend_pacer() -> Pacer:
    """Turns at Resend for read requests, beside the emails."""
    return Pacer(ledger(), "resend", current_settings().resend_rate or LEAST_RATE)


def notion(turn: Callable[[], None] | None = None, *, timeout: float = 20) -> Notion:
    """Notion.

    Args:
        turn: called before each request; by default it waits for a turn, which needs Redis.
        timeout: seconds for one request.
    """
    from shared.integrations.notion import Notion

    found = current_settings()
    return Notion(found.notion_token, found.notion_api_url, turn=turn or notion_pacer().wait, timeout=timeout)


@cache
def resend() -> Resend:
    """Resend. There is one for all threads: its SDK keeps key, address and connections for the whole process."""
    from shared.integrations.resend import Resend

    found = current_settings()
    return Resend(found.resend_api_key, found.resend_api_url, timeout=found.provider_timeout, pool=found.threads)


def discord() -> Discord:
    """The owner's channel."""
    from shared.integrations.discord import Discord

    found = current_settings()
    return Discord(found.discord_webhook_url, timeout=found.provider_timeout)
