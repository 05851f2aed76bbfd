"""What the ledger's scripts take: each dataclass is a script's contract, field by field. None values are left out.
Those of enroll.lua and restore.lua have a module each.

Instants are milliseconds since 1970 UTC, durations are milliseconds, contacts are digests of their addresses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.domain.states import Outcome


@dataclass(frozen=True, kw_only=True)
class Limit:
    """How often something may be done: `most` times in a `window`, counted under a `key` (limit.lua, enroll.lua)."""

    key: str
    most: int
    window: int


@dataclass(frozen=True, kw_only=True)
class Report:
    """What the provider reports about an email or an address (receive.lua).

    Attributes:
        what: what was reported.
        at: when it happened.
        seen: a digest of the report: the same one again does nothing.
        seen_ttl: how long that is remembered.
        contact: the addressee.
        enrollment, step: those of our email.
        id: the provider's id for the email.
        sent: when the provider accepted it.
        reason: why, in the provider's words.
    """

    what: str
    at: int
    seen: str
    seen_ttl: int
    contact: str | None
    enrollment: str | None
    step: int | None
    id: str | None
    sent: int
    reason: str | None = None


@dataclass(frozen=True)
class Apart:
    """How one email of an accepted batch ended otherwise; its fields are those of Ending."""

    outcome: Outcome
    why: str
    most: int | None = None


@dataclass(frozen=True)
class Ending:
    """How a request ended, and what was learned from it (settle.lua).

    Attributes:
        outcome: how it ended.
        ids: the provider's ids for the emails that it accepted; empty for those in `others`.
        why: the reason, without an address.
        most: the most emails of a batch that a dissolved one may join; 1: none.
        others: the emails of an accepted batch that ended otherwise, by their ids.
        retry_after: the minimum wait before the next attempt.
        hold: how long to send the provider no requests.
        delays: the waits before attempts 2, 3 and all later ones.
        patience: how long after its due time a step that cannot be written is retried.
        gate: why nothing can be sent at all, and `gate_until` when one email is tried again.
        rate_seen: the requests per second that the provider names.
        turn: the turn at the provider, and `left` when the request left.
        date: the time by the provider's clock.
    """

    outcome: Outcome
    ids: Sequence[str] = ()
    why: str | None = None
    most: int | None = None
    others: Mapping[str, Apart] | None = None
    retry_after: int = 0
    hold: int | None = None
    delays: Sequence[int] = (0,)
    patience: int = 0
    gate: str | None = None
    gate_until: int | None = None
    rate_seen: str | None = None
    turn: int | None = None
    left: int | None = None
    date: int | None = None


@dataclass(frozen=True, kw_only=True)
class Resume:
    """How a paused enrollment continues (resume.lua).

    Attributes:
        enrollment: its id.
        paused_at: when the pause began: an order for another pause does nothing.
        anchor: the instant that its delays count from now on.
        dues: by step, when it is due now.
        nexts: by step, the earliest time it may go.
        catch_up: the time between two emails while missed emails are sent.
    """

    enrollment: str
    paused_at: int
    anchor: int
    dues: dict[int, int]
    nexts: dict[int, int]
    catch_up: int | None
