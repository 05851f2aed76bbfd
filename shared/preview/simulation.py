"""Many sign-ups against a provider's rate and quota, on a clock as fast as this machine allows. Needs no Redis.

Catalog, timing, segments and late policy are the real modules. The ledger and the provider are simplified:

- sign-ups are spread evenly at random; no one books, unsubscribes, bounces, is paused or signs up twice;
- the website sends no email itself; scores are random; everyone lives in the business's time zone;
- the provider answers at once, refuses only for its quota, and counts a day from midnight UTC; a batch is one request
  and never exceeds the quota; the quota's end is known in advance, so that no request is wasted;
- during an outage nothing is tried, and waiting emails go out at its end, without the seconds between attempts;
- a batch ends at the first late email, which goes alone; the ledger would search further for others to include.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from shared.core.settings import Settings
from shared.domain import timing
from shared.domain.catalog import Campaign, Catalog
from shared.domain.segments import Segment, segment
from shared.ledger.decisions import BATCH

APART = 1015  # milliseconds after which a second's turns at the provider are free again: slightly more than a second
AT_ONCE = 10  # turns at most that may follow one another at once
BATCH_ABOVE = 20
MEETING_AHEAD = 14 * timing.DAY
LATE = 60_000  # milliseconds after its due time from which an email counts as late in the report


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


@dataclass(slots=True)
class _Run:
    """One person in a campaign: the anchor, the waiting emails, when they are due, and their dates at sign-up."""

    campaign: Campaign
    segment: Segment
    waiting: list[timing.Delay]
    dues: dict[int, int]
    promised: dict[int, int]

    @property
    def due(self) -> int:
        """When the next email is due."""
        return self.dues[self.waiting[0].number]


def simulate(catalog: Catalog, settings: Settings, conditions: Conditions) -> Outcome:
    """Simulate from the first sign-up to the last email.

    Args:
        catalog: the campaigns.
        settings: the business's time zone, and how many waiting emails make a batch.
        conditions: what happens.
    """
    return _Simulation(catalog, settings, conditions).run()


class _Simulation:
    def __init__(self, catalog: Catalog, settings: Settings, conditions: Conditions) -> None:
        self._catalog, self._conditions = catalog, conditions
        self._zone = ZoneInfo(settings.business_timezone)
        self._batch_above = settings.resend_batch_above or min(conditions.rate, BATCH_ABOVE)
        self._outages = sorted(conditions.outages)
        self._scheduled: list[
            tuple[int, int, _Run]
        ] = []  # by due time; one entry per enrollment, since a step waits for the one before
        self._ready: list[tuple[bool, int, int, _Run]] = []  # transactional ones first, then by due time
        self._count = 0
        self._now = conditions.begins
        groups = max(math.ceil(conditions.rate / AT_ONCE), 1)
        at_once = max(int(conditions.rate / groups), 1)
        self._apart = APART / min(groups, conditions.rate)
        self._turns = deque([0.0] * at_once, maxlen=at_once)  # when each may be taken again
        self.outcome = Outcome(ended=conditions.begins)
        self._sign_up()

    def run(self) -> Outcome:
        """Run from event to event."""
        end = self._conditions.to
        while self._ready or self._scheduled:
            if not self._ready:
                self._now = max(self._now, self._scheduled[0][0])
            elif (free := self._free_at()) > self._now:
                self._now = free
            else:
                self._request()
            if end is not None and self._now > end:
                break
            self._release()
        self.outcome.unsent = sum(len(entry[-1].waiting) for heap in (self._ready, self._scheduled) for entry in heap)
        return self.outcome

    def _sign_up(self) -> None:
        # the same seed must draw the same people; not for secrets
        lot = random.Random(self._conditions.seed)  # noqa: S311
        for _ in range(self._conditions.contacts):
            at = self._conditions.begins + int(lot.random() * self._conditions.over)
            campaign = self._catalog.campaigns[lot.choice(self._conditions.slugs)]
            called = segment(lot.choice((0, 0, 0, 0, 1, 1, 2, 3)), lot.randint(0, 3))
            meets = campaign.steps[0].before is not None
            anchor = at + lot.randint(timing.HOUR, MEETING_AHEAD) if meets else at
            delays = [step.delay for step in campaign.steps]
            dues = self._dues(campaign, anchor, delays)
            self.outcome.segments[called] += 1
            self._schedule(
                _Run(campaign, called, [delay for delay in delays if not meets or dues[delay.number] > at], dues, dues)
            )

    def _dues(self, campaign: Campaign, anchor: int, delays: Sequence[timing.Delay]) -> dict[int, int]:
        return timing.dues(anchor, delays, campaign.window.window if campaign.window else None, self._zone)

    def _schedule(self, run: _Run) -> None:
        if run.waiting:
            self._count += 1
            heapq.heappush(self._scheduled, (run.due, self._count, run))

    def _release(self) -> None:
        while self._scheduled and self._scheduled[0][0] <= self._now:
            due, count, run = heapq.heappop(self._scheduled)
            heapq.heappush(self._ready, (run.campaign.kind != "transactional", due, count, run))

    def _free_at(self) -> int:
        """The first time at which the provider accepts a request."""
        at = max(self._now, math.ceil(self._turns[0]))
        while True:
            over = next((end for begin, end in self._outages if begin <= at < end), None)
            if over is None and not self._left(at):
                self.outcome.full_days.add(at // timing.DAY)
                over = (at // timing.DAY + 1) * timing.DAY
            if over is None:
                return at
            at = over

    def _left(self, at: int) -> int:
        """Emails that the provider still accepts on a given day."""
        quota = self._conditions.daily_quota
        return max(0, quota - self.outcome.days[at // timing.DAY]) if quota else BATCH

    def _is_late(self, run: _Run) -> bool:
        return self._now - run.due > run.campaign.late_after(1)

    def _request(self) -> None:
        """Post the first email, with others if enough are ready for a batch."""
        first = heapq.heappop(self._ready)[-1]
        behind = self._now - first.due
        if self._is_late(first) and not self._goes_late(first, behind):
            return
        self._send(first, behind)
        at_most = min(BATCH - 1, self._left(self._now)) if len(self._ready) >= self._batch_above else 0
        while at_most and self._ready and not self._is_late(self._ready[0][-1]):
            run = heapq.heappop(self._ready)[-1]
            self._send(run, self._now - run.due)
            at_most -= 1
        self.outcome.requests[self._now // timing.HOUR] += 1
        self._turns.append(self._now + self._apart)

    def _goes_late(self, run: _Run, behind: int) -> bool:
        """Apply the campaign's late policy; returns whether the email is sent now."""
        if run.campaign.late.policy == "skip":
            self.outcome.skipped += 1
            run.waiting = run.waiting[1:]
            self._schedule(run)
            return False
        if run.campaign.late.policy == "shift":
            self.outcome.shifted += 1
            self.outcome.latest = max(self.outcome.latest, behind)
            run.dues = self._dues(run.campaign, timing.shifted(run.waiting[0], self._now), run.waiting)
            if run.due > self._now:
                self._schedule(run)
                return False
        return True

    def _send(self, run: _Run, behind: int) -> None:
        outcome, number = self.outcome, run.waiting[0].number
        outcome.hours[self._now // timing.HOUR] += 1
        outcome.days[self._now // timing.DAY] += 1
        if step := run.campaign.step(number):
            outcome.templates[step.template_for(run.segment)] += 1
        outcome.late += behind > LATE
        outcome.latest = max(outcome.latest, behind)
        outcome.furthest = max(outcome.furthest, self._now - run.promised[number])
        outcome.ended = self._now
        run.waiting = run.waiting[1:]
        self._schedule(run)
