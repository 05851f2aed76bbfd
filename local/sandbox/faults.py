"""Faults on demand: provider failures, for testing everything built on a provider.

| kind | what happens |
|---|---|
| `status` | the request is refused with `status`, or with `body: html` answered with a page where JSON should be, with
status 200 too |
| `timeout-before` | nothing is accepted; the connection is held for `delay_ms`, then closed |
| `timeout-after` | the request is accepted; the connection is held for `delay_ms`, then closed without an answer |
| `slow` | the request is accepted, and answered after `delay_ms` |
| `disconnect` | the connection is closed without an answer, before accepting or (`after`) after it |
| `quota` | Resend: a send is refused with 429 `name` once over `limit` recipients in the day or month (0, the default:
at once) |
| | Notion: the request is refused with 429, `name` being the `rate_limit_reason` |
| `commit-then-503` | the request is accepted, and answered 503 |

`status`, `slow`, `timeout-before`, `disconnect` before accepting and Notion's `quota` meet every request; the others
only those that write. A fault with a `count` is kept for requests about emails: `GET /domains`, which Evergreen uses to
get Resend's time, does not meet it. While a connection is held, the request's idempotency key is in progress. Faults
are kept in memory: a restart clears them.
"""

from __future__ import annotations

import random
import threading
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

PROVIDERS = ("resend", "notion", "discord")
_DEFAULT_DELAY_MS = {"timeout-before": 30_000, "timeout-after": 30_000, "slow": 1_000}

Kind = Literal["status", "timeout-before", "timeout-after", "slow", "disconnect", "quota", "commit-then-503"]


class Fault(BaseModel):
    """One fault that was set.

    Attributes:
        count: how many more requests it meets; None until it is deleted.
        rate: the share of requests that it meets, 0 to 1.
        delay_ms: for the kinds that wait; None or 0 means the kind's own default (30 s to time out, 1 s to be slow).
        after: for `disconnect`: after accepting.
        name: for `status` and `quota`: the error's name, to replace the usual one.
        limit: for Resend's `quota`: how many recipients are within it.
        retry_after: for `status` and `quota`: the header in seconds, to replace the usual one; a fraction is sent as
            such.
        body: for `status`: the provider's own error, or an HTML page as a proxy would return.
    """

    model_config = ConfigDict(extra="forbid")

    id: int = 0
    provider: str = "resend"
    kind: Kind
    status: int = Field(default=500, ge=200, le=599)
    count: int | None = Field(default=None, ge=1)
    rate: float = Field(default=1.0, gt=0, le=1)
    delay_ms: int | None = Field(default=None, ge=0, le=600_000)
    after: bool = False
    name: str | None = Field(default=None, pattern=r"^[a-z_]{1,64}$")
    limit: int = Field(default=0, ge=0)
    retry_after: int | float | None = Field(default=None, ge=0)
    body: Literal["json", "html"] = "json"

    @model_validator(mode="after")
    def _is_an_error(self) -> Self:
        if self.status < 400 and self.body == "json":
            raise ValueError("a status below 400 goes with body html only")
        return self

    @property
    def before_accepting(self) -> bool:
        """Whether the request is never accepted."""
        if self.kind == "quota":
            return self.provider == "notion"
        return self.kind in ("status", "timeout-before") or (self.kind == "disconnect" and not self.after)

    @property
    def answer_status(self) -> int:
        """The status of a refusal."""
        return {"quota": 429, "commit-then-503": 503}.get(self.kind, self.status)

    @property
    def delay_seconds(self) -> float:
        """How long to wait."""
        return (self.delay_ms or _DEFAULT_DELAY_MS.get(self.kind, 0)) / 1000

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a refusal."""
        if self.retry_after is not None:
            return {"retry-after": str(self.retry_after)}
        return {"retry-after": "1"} if self.before_accepting and self.answer_status in (429, 529) else {}

    def meets(self, provider: str, writing: bool, aside: bool = False) -> bool:
        """Whether this fault applies to a request.

        Args:
            provider: the request's provider.
            writing: whether the request writes, rather than only reads.
            aside: whether the request is unrelated to emails, so that it uses up no fault with a count.
        """
        spared = aside and self.count is not None
        return self.provider == provider and not spared and (writing or self.before_accepting or self.kind == "slow")


class Faults:
    """The faults that are set, the oldest first."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self._faults: list[Fault] = []
        self._last_id = 0
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> Fault:
        """Set a fault.

        Args:
            fault: the fault; it gets an id.
        """
        with self._lock:
            self._last_id += 1
            added = fault.model_copy(update={"id": self._last_id})
            self._faults.append(added)
        return added

    def all(self) -> list[dict[str, Any]]:
        """The faults set now, each with how many requests it still meets."""
        with self._lock:
            return [fault.model_dump() for fault in self._faults]

    def remove(self, fault_id: int | None = None) -> None:
        """Delete one fault, or all.

        Args:
            fault_id: which one.
        """
        with self._lock:
            self._faults = [fault for fault in self._faults if fault_id is not None and fault.id != fault_id]

    def take(self, provider: str, writing: bool, aside: bool = False) -> Fault | None:
        """The fault that a request meets, if any; it counts as met. The arguments are those of `Fault.meets`."""
        with self._lock:
            for fault in self._faults:
                # a share of requests, not a secret
                if fault.meets(provider, writing, aside) and random.random() < fault.rate:  # noqa: S311
                    self._count(fault)
                    return fault
        return None

    def _count(self, fault: Fault) -> None:
        if fault.count is None:
            return
        fault.count -= 1
        if fault.count == 0:
            self._faults.remove(fault)
