"""Alerts: what the owner must be told of at once.

An alert is told once per cause and hour, with how often it came; a lead once.

They lie in the ledger until they are told, so that neither a dead worker nor a silent Discord loses one.
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.ledger.client import Ledger

HOUR = 3_600_000  # milliseconds
_GONE = "eg:notices:gone"  # a digest of the Discord webhook that was deleted


@dataclass(frozen=True)
class Alert:
    """One thing to tell.

    Attributes:
        kind: `alert` or `lead`.
        subject: an alert's cause (failed, in-doubt, retrying, closed, silent, ...), or a lead's contact (its digest).
        count: how often an alert came since it was last told.
        detail: the latest occurrence, in words and ids without an address.
        version: as of which change.
    """

    kind: str
    subject: str
    count: int
    detail: str
    version: str

    @property
    def member(self) -> str:
        """Its name among what the owner is told."""
        return f"{self.kind}:{self.subject}"


class Alerts:
    """Raise, take, and mark as told.

    Args:
        ledger: holds them.
        lease: seconds that telling one may take.
    """

    def __init__(self, ledger: Ledger, lease: float = 60) -> None:
        self.ledger = ledger
        self._lease = lease

    def report(self, cause: str, detail: str) -> None:
        """Have the owner told.

        Args:
            cause: a word; within an hour each cause is told once.
            detail: what happened, without an address or a secret.
        """
        self.ledger.alert(cause, detail)

    def take(self) -> Alert | None:
        """The next alert that may be told now, or None."""
        found = self.ledger.notice(lease=self._lease)
        return Alert(found.kind, found.id, found.count, found.detail, found.version) if found else None

    def told(self, alert: Alert) -> None:
        """It was told (or never can be); what came meanwhile is told when the hour is over."""
        self.ledger.told(alert.member, alert.version, count=alert.count, quiet=HOUR / 1000)

    def failed(self, alert: Alert, wait: float) -> int:
        """It could not be told; try again in `wait` seconds. Returns how often it failed by now."""
        return self.ledger.told(alert.member, alert.version, wait=wait)

    def give_up(self, channel: str) -> None:
        """Remember a channel that is gone for good.

        Args:
            channel: a digest of its address.
        """
        self.ledger.redis.set(_GONE, channel)

    def is_given_up(self, channel: str) -> bool:
        """Whether this channel was found to be gone."""
        return self.ledger.redis.get(_GONE) == channel
