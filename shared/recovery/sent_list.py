"""Resend's list of what it has sent: independent evidence if the ledger is lost or in doubt.

Its list has no tags."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from shared.core import log
from shared.core.errors import SendError
from shared.domain import timing
from shared.integrations.provider import Listed

TRIES = 5
EARLY = timing.HOUR // 12  # five minutes: the most by which clocks may differ
KEPT = timing.DAY  # for which Resend keeps its list on every plan: a list read to its end is complete this far back
Follow = Callable[[Iterable[Any], str], Iterable[Any]]  # shows progress under a label
_logger = log.logger("sent-list")


def unseen(items: Iterable[Any], _label: str) -> Iterable[Any]:
    """Show no progress."""
    return items


class Lister(Protocol):
    """Lists what was sent: `integrations.resend.Resend`."""

    def listed(self, after: str | None = None) -> tuple[list[Listed], bool]:
        """A page, newest first, and whether there are older ones; raises SendError."""


@dataclass
class SentList:
    """Emails by recipient, newest first.

    Attributes:
        reach: every email accepted after this instant is in it; None: unknown.
        emails: by address.
    """

    reach: int | None = None
    emails: dict[str, list[Listed]] = field(default_factory=lambda: defaultdict(list))

    def covers(self, instant: int) -> bool:
        """Whether the list reaches back to an instant."""
        return self.reach is not None and self.reach <= instant

    def to(self, email: str) -> list[Listed]:
        """The listed emails of an address that are not yet explained, oldest first."""
        return self.emails[email][::-1]

    def explain(self, email: str, known: Listed) -> None:
        """Take out an email that belongs to a step: it says nothing about other steps."""
        self.emails[email].remove(known)


def read(
    lister: Lister,
    since: int,
    *,
    now: int,
    turn: Callable[[], None],
    follow: Follow = unseen,
    sleep: Callable[[float], None] = time.sleep,
) -> SentList:
    """Read the list back to an instant. If Resend does not respond, `reach` is None.

    Args:
        lister: lists what was sent.
        since: milliseconds since 1970 UTC.
        now: the same.
        turn: called before each request; returns when it may go.
        follow: shows the progress.
        sleep: waits for seconds; tests replace it.
    """
    found, oldest = SentList(), None
    try:
        for listed in follow(_all(lister, turn, sleep), "Reading Resend's list"):
            oldest = listed.at
            if oldest < since:
                break
            for address in listed.to:
                found.emails[address].append(listed)
    except SendError as error:
        _logger.warning("sent-list.unread", why=str(error))
        return found
    if oldest is not None:  # a list without emails may be another account's
        found.reach = max(min(oldest, now - KEPT), since)
    return found


def _all(lister: Lister, turn: Callable[[], None], sleep: Callable[[float], None]) -> Iterator[Listed]:
    after, more, tries = None, True, 0
    while more:
        turn()
        try:
            page, more = lister.listed(after)
        except SendError as error:
            tries += 1
            if error.kind not in ("rate", "wait", "ambiguous") or tries == TRIES:
                raise
            sleep(error.retry_after or 1.0)
            continue
        yield from page
        more, after, tries = more and bool(page), page[-1].id if page else None, 0
