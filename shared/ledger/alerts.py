"""Alerts: what the owner must know at once.

An alert is sent once per cause and hour, with how often it came; a lead is sent once. Alerts go ahead of all leads, and
leads above ten a minute become one summary.

They stay in the ledger until they are sent, so neither a dead worker nor a silent Discord loses one.
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.ledger import ids
from shared.ledger.client import Ledger

HOUR = 3_600_000  # milliseconds
_GONE = "eg:notices:gone"  # a digest of the Discord webhook that was deleted


@dataclass(frozen=True)
class Alert:
    """One alert or lead to send, or many leads as one.

    Attributes:
        kind: `alert`, `lead` or `leads`.
        subject: an alert's cause (failed, in-doubt, retrying, closed, silent, ...), or a lead's contact (its digest);
            empty for many leads.
        count: how often an alert came since it was last sent; for many leads, how often sending them has failed.
        detail: the latest occurrence, in words and ids without an address.
        version: its version when it was taken.
        members: the names in the list of alerts that this tells of, and the version of each.
    """

    kind: str
    subject: str
    count: int
    detail: str
    version: str
    members: tuple[tuple[str, str], ...]

    @property
    def contacts(self) -> list[str]:
        """The digests of the leads' contacts; of an alert, none."""
        return [member.partition(":")[2] for member, _ in self.members] if self.kind != "alert" else []


class Alerts:
    """Raises alerts, takes them, and marks them as sent.

    Args:
        ledger: where they are stored.
        lease: seconds that sending one may take.
    """

    def __init__(self, ledger: Ledger, lease: float = 60) -> None:
        self.ledger = ledger
        self._lease = lease

    def report(self, cause: str, detail: str) -> None:
        """Alert the owner.

        Args:
            cause: a word; each cause is sent once within an hour.
            detail: what happened, without an address or a secret.
        """
        self.ledger.alert(cause, detail)

    def take(self) -> Alert | None:
        """The next alert that may be sent now, or None."""
        found = self.ledger.notice(lease=self._lease)
        if not found:
            return None
        version = found.version or ids.digest(str(found.members))
        return Alert(found.kind, found.id, found.count, found.detail, version, found.members)

    def told(self, alert: Alert) -> None:
        """Mark an alert as sent (or as impossible to send); what came meanwhile is sent when the hour is over."""
        self.ledger.told(alert.members, count=alert.count, quiet=HOUR / 1000)

    def failed(self, alert: Alert, wait: float) -> int:
        """The alert could not be sent; try again in `wait` seconds. Returns how often it has failed."""
        return self.ledger.told(alert.members, wait=wait)

    def give_up(self, channel: str) -> None:
        """Remember a channel that is gone for good.

        Args:
            channel: a digest of its address.
        """
        self.ledger.redis.set(_GONE, channel)

    def is_given_up(self, channel: str) -> bool:
        """Whether this channel was found to be gone."""
        return self.ledger.redis.get(_GONE) == channel
