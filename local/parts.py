"""The parts of the local stack: the order in which they start, and how each shows that it works."""

from __future__ import annotations

import http.client
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import redis

from local import sandbox_notion, valkey
from local.ports import HOST
from local.stack import Place
from local.supervisor import Part
from shared.core import settings
from shared.core.stack_file import ROOT
from shared.ledger.client import Ledger
from shared.ledger.fence_state import FenceState
from shared.ledger.migrations import waiting


def stages(where: Place, environ: Mapping[str, str]) -> list[list[Part]]:
    """The parts, in the order in which they start; they stop in reverse.

    Valkey's `answers` raises LedgerTooNew.

    Args:
        where: the stack's place.
        environ: from `stack.environment`.
    """
    checks = _Checks(where, settings.load(environ).redis_password, time.monotonic())
    store = where.directory / "valkey"
    valkey_argv = valkey.command(store, where.valkey_port, checks.password)
    senders = ["worker", *(f"worker-{number}" for number in range(2, where.send_workers + 1))]
    return [
        [Part("valkey", valkey_argv, checks.ledger_opens, where.valkey_port, store)],
        [_python("sandbox", checks.sandbox_is_seeded, "local.sandbox", port=where.sandbox_port)],
        [_python("gateway", lambda: _listens(where.port), "local.gateway", port=where.port)],
        [
            _python("scheduler", checks.scheduler_ticks, "scheduler.release"),
            *(_python(name, lambda: checks.works("workers"), "scheduler.worker", "send") for name in senders),
            _python("recorder", lambda: checks.works("recorders"), "scheduler.worker", "record"),
            _python("notifier", lambda: checks.works("notifiers"), "scheduler.worker", "notify"),
            _python(
                "dashboard", lambda: _listens(where.dashboard_port), "scheduler.dashboard", port=where.dashboard_port
            ),
        ],
    ]


def _python(name: str, answers: Callable[[], bool], *module: str, port: int | None = None) -> Part:
    return Part(name, [sys.executable, "-m", *module], answers, port, ROOT)


@dataclass(frozen=True)
class _Checks:
    """Whether each part works.

    Attributes:
        password: Valkey's.
        began: when the stack started, in seconds on the monotonic clock.
    """

    where: Place
    password: str
    began: float

    def ledger_opens(self) -> bool:
        """Whether Valkey answers; raises LedgerTooNew."""
        try:
            with _ledger(self.where, self.password) as ledger:
                ledger.check_version()
        except redis.RedisError:
            return False
        return valkey.answers(self.where.valkey_port, self.password)

    def sandbox_is_seeded(self) -> bool:
        """Whether the sandbox answers, and its Notion is set up."""
        return _listens(self.where.sandbox_port) and sandbox_notion.seed(self.where.directory, self.where.sandbox_port)

    def scheduler_ticks(self) -> bool:
        """Whether the scheduler has ticked, and the fence is open or waits for a person."""
        health = _health(self.where)
        age = health.get("scheduler_age_ms")
        # an older tick is from the previous run
        ticked = age is not None and age / 1000 < time.monotonic() - self.began
        return ticked and (not health.get("fenced") or self._fence_waits_for_a_person())

    def _fence_waits_for_a_person(self) -> bool:
        with _ledger(self.where, self.password) as ledger:
            return "why" in FenceState(ledger).read()  # fixing it needs a running stack

    def works(self, name: str) -> bool:
        """Whether this field of the health check is true."""
        return bool(_health(self.where).get(name))


def troubles(where: Place) -> list[str]:
    """The problems of a running stack, in the words of its health.

    Args:
        where: the stack's place.
    """
    return list(_health(where).get("reasons", []))


def waits_for_migration(where: Place, password: str) -> bool:
    """Whether an older release's ledger needs a migration, or a migration was interrupted; False if Valkey does not
    respond.

    Args:
        where: the stack's place.
        password: its Valkey's.
    """
    try:
        with _ledger(where, password) as ledger:
            return bool(waiting(ledger))
    except redis.RedisError:
        return False


@contextmanager
def _ledger(where: Place, password: str) -> Iterator[Ledger]:
    with redis.Redis(HOST, where.valkey_port, password=password, decode_responses=True) as client:
        yield Ledger(client)


def _health(where: Place) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_get(where.port, "/health") or "{}")
    return found


def _listens(port: int) -> bool:
    return _get(port, "/_/health") is not None


def _get(port: int, path: str) -> str | None:
    """The body of a response with any status; None if there is no response."""
    connection = http.client.HTTPConnection(HOST, port, timeout=1)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
