"""What the ledger holds about one person, and about all people it must not write to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from shared.domain.addresses import spellings
from shared.ledger import held, ids
from shared.ledger.answers import Erased, Purged
from shared.ledger.client import Ledger
from shared.ledger.outbox import UNSURE

REASONS = ("complained", "bounced", "manual", "unsubscribed")
SLICE = 200  # keys that one step of a purge looks through
_SUPPRESSED = "eg:suppressed"


@dataclass(frozen=True)
class ContactRecord:
    """A person's whole record, as it is stored. Instants are milliseconds since 1970 UTC, as text.

    Attributes:
        contact: the fields of the contact.
        enrollments: the fields of each enrollment, by its id; those of a step are `<number>.<field>`.
        meetings: the fields of each meeting, by its key.
        exits: by reason, an instant; enrollments that began before it end.
        cancelled: when it was cancelled, by a meeting's start or by `series.<id>`.
        consents: what the person agreed to and withdrew, the oldest first.
        held: the sign-ups that wait for a confirmation, as they were stored.
    """

    contact: Mapping[str, str]
    enrollments: Mapping[str, Mapping[str, str]]
    meetings: Mapping[str, Mapping[str, str]]
    exits: Mapping[str, str]
    cancelled: Mapping[str, str]
    consents: Sequence[Mapping[str, Any]] = ()
    held: Sequence[str] = ()

    def __bool__(self) -> bool:
        return any(
            (self.contact, self.enrollments, self.meetings, self.exits, self.cancelled, self.consents, self.held)
        )

    @property
    def is_a_person(self) -> bool:
        """Whether more is held than that the address gets no email."""
        return bool(self.contact.keys() - set(REASONS) or replace(self, contact={}))

    @property
    def pages(self) -> set[str]:
        """The pages in Notion that are about the person."""
        records = (self.contact, *self.enrollments.values())
        found = {value for fields in records for name, value in fields.items() if name.split(".")[-1] == "page"}
        return found - {UNSURE, ""}


@dataclass(frozen=True)
class Suppression:
    """A contact who gets no email.

    Attributes:
        contact: the digest of the address.
        email: the address, if known.
        reasons: each of complained, bounced, manual, unsubscribed that applies, with its instant in milliseconds since
            1970 UTC.
    """

    contact: str
    email: str | None
    reasons: Mapping[str, int]


class Contacts:
    """Looks contacts up and forgets them.

    Args:
        ledger: where they are stored.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def held(self, contact: str) -> ContactRecord:
        """All that is held about a contact (its digest); empty if there is nothing.

        Looks through all tracked enrollments and meetings."""
        redis = self.ledger.redis
        listed = cast(set[str], redis.smembers(f"eg:enrollments:{contact}")) | self._tracked(contact)
        enrollments = {run: cast(dict[str, str], redis.hgetall(ids.enrollment_key(run))) for run in sorted(listed)}
        meetings = {key: cast(dict[str, str], redis.hgetall(key)) for key in self._of(contact, "eg:meeting:*")}
        fields = cast(dict[str, str], redis.hgetall(ids.contact_key(contact)))
        exits = cast(dict[str, str], redis.hgetall(f"eg:exits:{contact}"))
        cancelled = cast(dict[str, str], redis.hgetall(f"eg:cancelled:{contact}"))
        enrollments = {run: kept for run, kept in enrollments.items() if kept}
        consents = [json.loads(entry) for entry in cast(list[str], redis.lrange(f"eg:consents:{contact}", 0, -1))]
        waiting = list(held.of_contact(self.ledger, contact).records.values())
        return ContactRecord(fields, enrollments, meetings, exits, cancelled, consents, waiting)

    def knows(self, contact: str) -> bool:
        """Whether an address (its digest) has signed up, or waits for a confirmation."""
        return bool(
            self.ledger.redis.hexists(ids.contact_key(contact), "email")
            or held.of_contact(self.ledger, contact).records
        )

    def forget(self, contact: str) -> Erased:
        """Erase a contact, except for its suppression and the marks that prevent a second enrollment."""
        return self.ledger.forget(
            contact,
            enrollments=sorted(self._tracked(contact)),
            meetings=self._of(contact, "eg:meeting:*"),
            answers=self._answers(contact),
        )

    def purge(self, since: int, slugs: Sequence[str], *, dry: bool = False) -> Iterator[Purged]:
        """Erase what unproved sign-ups have left since an instant (milliseconds since 1970 UTC), part by part.

        Args:
            since: what came before stays.
            slugs: every campaign.
            dry: only count.
        """
        prefix, cursor, first = ids.contact_key(""), 0, True
        while cursor or first:
            cursor, keys = cast(tuple[int, list[str]], self.ledger.redis.scan(cursor, match=f"{prefix}*", count=SLICE))
            done = self.ledger.purge(since, [key.removeprefix(prefix) for key in keys], slugs, dry=dry)
            yield done if first or not dry else replace(done, held=0)  # a count has them all each time
            first = False
        while not dry and done.held:
            done = self.ledger.purge(since, [], slugs)
            yield done

    def suppression(self, contact: str) -> Suppression:
        """Why a contact gets no email; without reasons if it may get email."""
        email, *instants = cast(
            list[str | None], self.ledger.redis.hmget(ids.contact_key(contact), ["email", *REASONS])
        )
        return Suppression(
            contact, email, {reason: int(at) for reason, at in zip(REASONS, instants, strict=True) if at}
        )

    def keep_suppressed(self, email: str) -> None:
        """Suppress a contact whom an earlier release suppressed only as the same address with an ASCII domain, which
        it took for another one."""
        for spelling in spellings(email)[1:]:
            for reason in self.suppression(ids.digest(spelling)).reasons:
                self.ledger.suppress(ids.digest(email), reason)

    def suppressions(self, limit: int = 1000) -> list[Suppression]:
        """The contacts who get no email, the latest first."""
        return [
            self.suppression(contact)
            for contact in cast(list[str], self.ledger.redis.zrevrange(_SUPPRESSED, 0, limit - 1))
        ]

    def _tracked(self, contact: str) -> set[str]:
        prefix = ids.enrollment_key("")
        return {key.removeprefix(prefix) for key in self._of(contact, f"{prefix}*-0")}

    def _answers(self, contact: str) -> dict[str, str]:
        """The answers to Idempotency-Keys that name the contact's address, as an earlier release stored them; by their
        keys, and without it."""
        found = {}
        for key in self.ledger.redis.scan_iter("eg:seen:*", count=1000):
            answer = cast(str | None, self.ledger.redis.get(key)) or ""
            if answer.startswith("["):
                email, campaign = json.loads(answer)
                whose = ids.digest(email)
                if whose == contact:
                    found[key] = campaign or ""
        return found

    def _of(self, contact: str, pattern: str) -> list[str]:
        """The hashes of a pattern that name the contact. Scans the keys, so that it blocks nothing else."""
        redis = self.ledger.redis
        return [key for key in redis.scan_iter(pattern, count=1000) if redis.hget(key, "contact") == contact]
