"""What was erased, out of Redis's files and its list of slow commands.

Redis appends every change to a file (its append-only file), which holds what was erased until it is rewritten.
Rewriting replaces it with what the ledger holds now, while everything else goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

from redis.exceptions import ResponseError

from shared.ledger.client import Ledger

EVERY = 0.05  # seconds between two looks


class Log(StrEnum):
    """What became of the append-only file."""

    REWRITTEN = "rewritten"  # it holds only what the ledger holds
    ABSENT = "absent"  # Redis keeps none
    REFUSED = "refused"  # Redis does not let us rewrite it, or say whether there is one
    FAILED = "failed"  # Redis could not rewrite it
    UNFINISHED = "unfinished"  # it is still being rewritten


@dataclass(frozen=True)
class Rewritten:
    """Which files still hold what was erased.

    Attributes:
        log: what became of the append-only file.
        snapshots: whether Redis also writes snapshots, or does not say so.
        replicas: how many replicas have files of their own.
    """

    log: Log
    snapshots: bool
    replicas: int


def rewrite(ledger: Ledger, wait: float, progress: Callable[[], object]) -> Rewritten:
    """Have Redis rewrite its append-only file.

    Args:
        ledger: the ledger whose Redis it is.
        wait: seconds to wait for that.
        progress: called once when the rewriting begins.
    """
    log = _rewrite(ledger, wait, progress)
    try:
        save = cast(dict[str, str], ledger.redis.config_get("save")).get("save")
    except ResponseError:  # managed services forbid CONFIG
        save = None
    replication = _info(ledger, "replication")
    return Rewritten(log, save != "", int(replication.get("connected_slaves", 0)))


def _rewrite(ledger: Ledger, wait: float, progress: Callable[[], object]) -> Log:
    deadline = time.monotonic() + wait
    found = _info(ledger, "persistence")
    if "aof_enabled" not in found:
        return Log.REFUSED
    if not found["aof_enabled"]:
        return Log.ABSENT
    progress()
    try:
        while not _begin(ledger):
            if not _ends(ledger, deadline):
                return Log.UNFINISHED
    except ResponseError:
        return Log.REFUSED
    if not _ends(ledger, deadline):
        return Log.UNFINISHED
    return Log.REWRITTEN if _info(ledger, "persistence").get("aof_last_bgrewrite_status") == "ok" else Log.FAILED


def _begin(ledger: Ledger) -> bool:
    """Begin to rewrite it; False while Redis is at it already: that one may hold what was erased since it began."""
    try:
        ledger.redis.bgrewriteaof()
    except ResponseError as error:
        if "already in progress" not in str(error):
            raise
        return False
    return True


def _ends(ledger: Ledger, deadline: float) -> bool:
    """Wait until Redis is not rewriting it; returns whether that is before the deadline."""
    while (found := _info(ledger, "persistence")).get("aof_rewrite_in_progress") or found.get("aof_rewrite_scheduled"):
        if time.monotonic() > deadline:
            return False
        time.sleep(EVERY)
    return True


def _info(ledger: Ledger, section: str) -> dict[str, Any]:
    """What Redis says; empty if it does not let its user ask."""
    try:
        return ledger.redis.info(section)
    except ResponseError:
        return {}


def clear_slow_commands(ledger: Ledger, words: Iterable[str]) -> bool:
    """Empty Redis's list of slow commands, which keeps the beginning of what each was given, if it names one of the
    words.

    Returns:
        Whether the list is now free of them; False if Redis does not show or empty it.
    """
    try:
        listed = str(ledger.redis.slowlog_get(-1)).lower()
        if any(word.lower() in listed for word in words):
            ledger.redis.slowlog_reset()
    except ResponseError:
        return False
    return True
