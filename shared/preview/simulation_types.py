"""The conditions of a simulation, and its outcome."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from shared.domain import timing
from shared.domain.segments import Segment

LATE = 60_000  # milliseconds after its due time from which an email counts as late


@dataclass(frozen=True)
class Conditions:
    """What is simulated. Instants are milliseconds since 1970 UTC.

    Attributes:
        slugs: the campaigns; each contact starts a random one.
        contacts: how many sign up.
        begins: the first instant.
        over: milliseconds in which they sign up.
        to: the last instant; None continues until the last email.
        rate: requests per second that the provider accepts.
        daily_quota: emails per day that it accepts; 0: no limit.
        outages: when it is unavailable, start and end.
        seed: another seed draws other sign-ups.
    """

    slugs: Sequence[str]
    contacts: int
    begins: int
    over: int
    to: int | None = None
    rate: float = 2
    daily_quota: int = 0
    outages: Sequence[tuple[int, int]] = ()
    seed: int = 1


@dataclass
class Outcome:
    """The result. Hours and days are counted since 1970 UTC.

    Attributes:
        hours: emails sent in each hour.
        days: emails sent on each day.
        full_days: the days on which the quota delayed an email.
        templates: emails of each template.
        segments: people in each segment.
        requests: requests to the provider in each hour.
        late: emails sent more than a minute after their due time.
        latest: the longest delay of an email after its due time, in milliseconds.
        furthest: the longest delay of an email after its date at sign-up, shifts included, in milliseconds.
        shifted: how often the late policy shifted an enrollment.
        skipped: emails that the late policy skipped.
        unsent: emails, due or not, that were not sent when the clock stopped.
        ended: the instant of the last email.
    """

    hours: Counter[int] = field(default_factory=Counter)
    days: Counter[int] = field(default_factory=Counter)
    full_days: set[int] = field(default_factory=set)
    templates: Counter[str] = field(default_factory=Counter)
    segments: Counter[Segment] = field(default_factory=Counter)
    requests: Counter[int] = field(default_factory=Counter)
    late: int = 0
    latest: int = 0
    furthest: int = 0
    shifted: int = 0
    skipped: int = 0
    unsent: int = 0
    ended: int = 0

    def count_sent(self, at: int, due: int, promised: int, template: str | None) -> None:
        """Count an email. Instants are milliseconds since 1970 UTC.

        Args:
            at: when it is sent.
            due: when it was due.
            promised: its date at sign-up.
            template: its template; None if the campaign no longer has the step.
        """
        self.hours[at // timing.HOUR] += 1
        self.days[at // timing.DAY] += 1
        if template:
            self.templates[template] += 1
        self.late += at - due > LATE
        self.latest = max(self.latest, at - due)
        self.furthest = max(self.furthest, at - promised)
        self.ended = at

    @property
    def sent(self) -> int:
        """How many emails were sent."""
        return sum(self.hours.values())

    @property
    def busiest_month(self) -> int:
        """Emails in the busiest thirty consecutive days."""
        return max((sum(self.days[day + ahead] for ahead in range(30)) for day in list(self.days)), default=0)

    @property
    def as_dict(self) -> dict[str, object]:
        """For JSON; hours and days by their first instant."""
        return {
            "sent": self.sent,
            "unsent": self.unsent,
            "skipped": self.skipped,
            "shifted": self.shifted,
            "late": self.late,
            "latest_seconds": self.latest / 1000,
            "furthest_seconds": self.furthest / 1000,
            "ended": _utc(self.ended),
            "requests": sum(self.requests.values()),
            "busiest_30_days": self.busiest_month,
            "quota_exhausted": [_utc(day * timing.DAY) for day in sorted(self.full_days)],
            "sent_by_hour": {_utc(hour * timing.HOUR): count for hour, count in sorted(self.hours.items())},
            "templates": dict(self.templates),
            "segments": dict(self.segments),
        }


def _utc(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="seconds")
