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
import random
from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from shared.core.settings import Settings
from shared.domain import timing
from shared.domain.catalog import Campaign, Catalog
from shared.domain.segments import Segment, segment
from shared.ledger.decisions import BATCH
from shared.preview.simulated_provider import Provider
from shared.preview.simulation_types import Conditions, Outcome

BATCH_ABOVE = 20
MEETING_AHEAD = 14 * timing.DAY


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
        # by due time; one entry per enrollment, since a step waits for the one before
        self._scheduled: list[tuple[int, int, _Run]] = []
        self._ready: list[tuple[bool, int, int, _Run]] = []  # transactional ones first, then by due time
        self._count = 0
        self._now = conditions.begins
        self.outcome = Outcome(ended=conditions.begins)
        self._provider = Provider(conditions, self.outcome)
        self._sign_up()

    def run(self) -> Outcome:
        """Run from event to event."""
        end = self._conditions.to
        while self._ready or self._scheduled:
            if not self._ready:
                self._now = max(self._now, self._scheduled[0][0])
            elif (free := self._provider.free_at(self._now)) > self._now:
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

    def _is_late(self, run: _Run) -> bool:
        return self._now - run.due > run.campaign.late_after(1)

    def _request(self) -> None:
        """Post the first email, with others if enough are ready for a batch."""
        first = heapq.heappop(self._ready)[-1]
        due = first.due  # the late policy may move it, but the delay counts from here
        if self._is_late(first) and not self._goes_late(first):
            return
        self._send(first, due)
        at_most = min(BATCH - 1, self._provider.left(self._now)) if len(self._ready) >= self._batch_above else 0
        while at_most and self._ready and not self._is_late(self._ready[0][-1]):
            run = heapq.heappop(self._ready)[-1]
            self._send(run, run.due)
            at_most -= 1
        self.outcome.requests[self._now // timing.HOUR] += 1
        self._provider.take_turn(self._now)

    def _goes_late(self, run: _Run) -> bool:
        """Apply the campaign's late policy; returns whether the email is sent now."""
        if run.campaign.late.policy == "skip":
            self.outcome.skipped += 1
            run.waiting = run.waiting[1:]
            self._schedule(run)
            return False
        if run.campaign.late.policy == "shift":
            self.outcome.shifted += 1
            self.outcome.latest = max(self.outcome.latest, self._now - run.due)
            run.dues = self._dues(run.campaign, timing.shifted(run.waiting[0], self._now), run.waiting)
            if run.due > self._now:
                self._schedule(run)
                return False
        return True

    def _send(self, run: _Run, due: int) -> None:
        number = run.waiting[0].number
        step = run.campaign.step(number)
        template = step.template_for(run.segment) if step else None
        self.outcome.count_sent(self._now, due, run.promised[number], template)
        run.waiting = run.waiting[1:]
        self._schedule(run)
