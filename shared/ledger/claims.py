"""What the scripts of sending return: the claimed emails or why there are none, when a request may leave, and what
became of its emails. Instants are milliseconds since 1970 UTC."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.domain.enrollments import Contact
from shared.domain.states import Refusal, StepState
from shared.ledger import ids
from shared.ledger.answers import instant, step_state


@dataclass(frozen=True)
class Claimed:
    """What a claim returned to send.

    Attributes:
        wait: milliseconds to wait for our turn at the provider.
        turn: the instant of that turn, in milliseconds since 1970 UTC by the ledger's clock.
        items: the emails, the requested one first (in a repeated batch: the batch's own order).
        request: the id of the request that was posted before and must be repeated as it was; empty for a new one.
        body: that request, as JSON.
        permissive: whether it was a batch in which a wrong email stops none of the others.
        ask_time: whether the provider must be asked for its time before this is posted.
    """

    wait: int
    turn: int
    items: list[Item]
    request: str
    body: str
    ask_time: bool = False
    permissive: bool = False


@dataclass(frozen=True)
class Leave:
    """When a request may leave.

    Attributes:
        now: the instant of this answer, in milliseconds since 1970 UTC.
        wait: milliseconds from then until its turn.
        again: whether to ask again: for a later turn than the one asked for, or without some of its emails.
        without: the ids of those emails, which may no longer go.
    """

    now: int
    wait: int
    again: bool
    without: frozenset[str] = frozenset()

    @property
    def turn(self) -> int:
        """The instant of its turn."""
        return self.now + self.wait


@dataclass(frozen=True)
class Item:
    """One claimed email: its enrollment and step, what is known about the person, and what the webhook said about the
    occasion."""

    enrollment: str
    step: int
    slug: str
    request_id: str
    contact: Contact
    values: Mapping[str, str]
    retries: int = 0

    @property
    def id(self) -> str:
        """The email's id."""
        return ids.email_id(self.enrollment, self.step)

    @property
    def request(self) -> str:
        """The id of a request for this email alone, also its idempotency key: a new one after each retry by a
        person."""
        return f"{self.id}-r{self.retries}" if self.retries else self.id


@dataclass(frozen=True)
class Refused:
    """Why a claim returned nothing to send, until when, the reason, and how the step ended if it has.

    Attributes:
        what: the kind of refusal.
        until: when it may be claimed; for a late step, when it was due.
        why: the reason, without an address.
        state: the step's, if it is done.
    """

    what: Refusal
    until: int | None = None
    why: str = ""
    state: StepState | None = None


@dataclass(frozen=True)
class Settled:
    """What became of a step: its state (None: it is gone), its next wake-up if it has one, the attempts made, and why
    it is not sent."""

    id: str
    state: StepState | None
    next: int | None
    attempts: int
    why: str = ""


def claim_answer(answer: Sequence[Any]) -> Claimed | Refused:
    """What claim.lua has answered."""
    if answer[0] != "claimed":
        what, until, why, state = answer
        return Refused(Refusal(what), instant(until), why, step_state(state))
    _, wait, turn, emails, request, body, ask_time, permissive = answer
    items = [_item(*email) for email in emails]
    return Claimed(int(wait), int(turn), items, request, body, bool(ask_time), bool(permissive))


def _item(
    enrollment: str, step: str, slug: str, request_id: str, contact: Sequence[str], values: str, retries: int
) -> Item:
    fields = dict(zip(contact[::2], contact[1::2], strict=True))
    return Item(enrollment, int(step), slug, request_id, Contact(fields), json.loads(values), retries)
