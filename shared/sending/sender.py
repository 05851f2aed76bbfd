"""Sending one step: claim, compose and freeze, post, settle. The ledger decides; this module does the work in between."""

from __future__ import annotations

import json
import math
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import clock_gettime
from typing import Any

from shared.core import log
from shared.core.errors import RenderingError, SendError
from shared.core.settings import Settings
from shared.domain import timing
from shared.domain.catalog import Campaign, Catalog
from shared.domain.enrollments import Enrollment
from shared.emails.template_store import Templates
from shared.integrations.provider import CLOCK_SHARE, Provider
from shared.ledger import ids
from shared.ledger.alerts import Alerts
from shared.ledger.answers import Claimed, Item, Leave, Refused, Settled
from shared.ledger.client import AHEAD, Ledger
from shared.sending.composing import compose

LONGEST_WAIT = 3600  # seconds: nobody waits longer because a provider said so, but for its quota
OVERSLEPT = 1.0  # seconds after its turn from which on a request does not leave any more: this machine was asleep, or stopped
SLOW_AFTER = 5  # seconds until such a request is tried again
PROBE_AFTER = 60  # seconds until one email is tried again behind a closed gate
UNREACHABLE_AFTER = 10
BUSY_AFTER = 60
RETRY_DELAYS = (60, 300, 3600)  # before the second attempt, the third, and all later ones; from the first post
_SINCE_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # macOS has only the second, which counts its sleep
_RESULTS = {"sent": "sent", "failed": "failed", "in-doubt": "in-doubt", "skipped": "skipped", "cancelled": "skipped"}
_logger = log.logger("sending")


def _seconds_since_boot() -> float:
    """Also while the machine slept, which time.monotonic() leaves out on Linux."""
    return clock_gettime(_SINCE_BOOT)


@dataclass(frozen=True)
class Result:
    """How a send ended.

    Attributes:
        result: `sent`, `skipped`, `already-sent`, `parked`, `failed` or `in-doubt`.
        until: when the ledger looks again, in milliseconds since 1970 UTC, where it will.
        why: the reason, without an address.
        paced: whether it is parked for want of a turn at the provider.
    """

    result: str
    until: int | None = None
    why: str = ""
    paced: bool = False


@dataclass(frozen=True)
class _Post:
    """One request: whose emails, its id (also the idempotency key), what is posted, the same as it is frozen, its turn at the provider."""

    items: list[Item]
    request: str
    emails: dict[str, Any] | list[dict[str, Any]]
    body: str
    turn: int

    def without(self, gone: frozenset[str], token: str) -> _Post:
        """The request for the others, written again; one that was never posted."""
        emails = self.emails if isinstance(self.emails, list) else [self.emails]
        return _new_post([pair for pair in zip(self.items, emails, strict=True) if pair[0].id not in gone], token, self.turn)


@dataclass(frozen=True)
class Sender:
    """What sending needs: the ledger, the campaigns with their compiled templates, the provider, and the settings."""

    ledger: Ledger
    catalog: Catalog
    templates: Templates
    provider: Provider
    settings: Settings
    sleep: Callable[[float], None] = time.sleep
    awake: Callable[[], float] = _seconds_since_boot

    def send(self, enrollment: str, step: int) -> Result:
        """Send one step now, if the ledger lets us; others that are ready may go along.

        Args:
            enrollment: the enrollment's id.
            step: the step's number.
        """
        token = uuid.uuid4().hex
        claim = self._claim(enrollment, step, token)
        if isinstance(claim, Refused) and claim.what == "unheard":
            claim = self._claim(enrollment, step, token, date=self.provider.time() or 0)
        if isinstance(claim, Refused) and claim.what == "late":
            claim = self._be_late(enrollment, step, token)
        if isinstance(claim, Refused):
            return _refusal(claim)
        ready = time.monotonic() + claim.wait / 1000
        asked = ids.email_id(enrollment, step)
        post: _Post | None
        settled: dict[str, Settled] = {}
        if claim.request:
            post = _Post(claim.items, claim.request, json.loads(claim.body), claim.body, claim.turn)
        else:
            post, settled = self._compose(claim, token, asked)
        if post:
            date = self.provider.time() or 0 if claim.ask_time else None
            settled |= self._deliver(post, token, asked, ready, date)
        return _result(settled.get(asked))

    @property
    def _account(self) -> str:
        """Stands for the provider's key: what was posted with one is unknown to another."""
        return ids.digest(f"{self.settings.resend_api_url} {self.settings.resend_api_key}")

    def _claim(self, enrollment: str, step: int, token: str, *, ignore_late: bool = False, date: int | None = None) -> Claimed | Refused:
        return self.ledger.claim(
            enrollment,
            step,
            token=token,
            late={slug: campaign.late_after(self.settings.backoff_divisor) for slug, campaign in self.catalog.campaigns.items()},
            rate=self.settings.resend_rate,
            batch_above=self.settings.resend_batch_above,
            ignore_late=ignore_late,
            fenced=self.settings.fenced,
            account=self._account,
            date=date,
        )

    def _be_late(self, enrollment: str, step: int, token: str) -> Claimed | Refused:
        """Apply the campaign's late policy to a step that was due long ago, and claim what may go."""
        found = self.ledger.enrollment(enrollment)
        campaign = self.catalog.campaigns.get(found.slug) if found else None
        if found and campaign and campaign.late.policy == "skip":
            return Refused("done", None, f"{self.ledger.skip(enrollment, step, 'late')}: late")
        if found and campaign and campaign.late.policy == "shift":
            self._shift(found, campaign, step)
        return self._claim(enrollment, step, token, ignore_late=True)

    def _shift(self, run: Enrollment, campaign: Campaign, step: int) -> None:
        """Move the enrollment's anchor so that the late step is due now and the gaps after it stay."""
        contact = self.ledger.contact(run.contact)
        zone = timing.zone(contact.fields.get("timezone") if contact else None, self.settings.business_timezone)
        window = campaign.window.window if campaign.window else None
        to_anchor = timing.shifted(timing.Delay(step, run.step(step).offset), self.ledger.now())
        waiting = [timing.Delay(s.number, s.offset) for s in run.steps if s.state == "scheduled"]
        dues = timing.dues(to_anchor, waiting, window, zone)
        self.ledger.move(run.id, from_anchor=run.anchor, to_anchor=to_anchor, dues=dues)
        _logger.info("run.shifted", enrollment=run.id, step=step, by_ms=to_anchor - run.anchor, request_id=run.request_id)

    def _compose(self, claim: Claimed, token: str, asked: str) -> tuple[_Post | None, dict[str, Settled]]:
        """Write the emails of a claim; those that cannot be written are settled at once and stop no other."""
        written: list[tuple[Item, dict[str, Any]]] = []
        settled: dict[str, Settled] = {}
        for item in claim.items:
            try:
                email = compose(item, catalog=self.catalog, templates=self.templates, settings=self.settings)
            except RenderingError as error:
                settled |= self._settle([item], "failing", token, asked, why=str(error), **self._patience(item.slug))
                continue
            if email is None:
                settled |= self._settle([item], "skipped", token, asked, why="the campaign no longer has this step")
            else:
                written.append((item, email))
        return (_new_post(written, token, claim.turn) if written else None), settled

    def _last_look(self, post: _Post, token: str, turn: int, date: int | None) -> Leave | None:
        return self.ledger.post(
            [item.id for item in post.items],
            token=token,
            request=post.request,
            body=post.body,
            spare=self.settings.provider_timeout * (1 + CLOCK_SHARE) + 1,
            turn=turn,
            rate=self.settings.resend_rate,
            account=self._account,
            date=date,
        )

    def _leave(self, post: _Post, token: str, ready: float, date: int | None) -> tuple[_Post, dict[str, int], float] | None:
        """Wait for our turn and take the last look.

        Returns:
            What may leave, without emails that may not go any more; its turn and when it leaves; and by when it must have left, in seconds
            since boot. None where nothing may.
        """
        turn = post.turn
        while True:
            self.sleep(max(0.0, ready - AHEAD / 1000 - time.monotonic()))
            began, awake = time.monotonic(), self.awake()
            leave = self._last_look(post, token, turn, date)
            if leave is None:
                return None
            date = None  # it is heard once
            ready, turn = began + leave.wait / 1000, leave.turn
            if leave.without:
                post = post.without(leave.without, token)
            if not leave.again:
                break
        if leave.wait:
            self.sleep(max(0.0, ready - time.monotonic()))
        left = leave.now + math.ceil((time.monotonic() - began) * 1000)
        return post, {"turn": turn, "left": left}, awake + leave.wait / 1000 + OVERSLEPT

    def _deliver(self, post: _Post, token: str, asked: str, ready: float, date: int | None) -> dict[str, Settled]:
        """Post at our turn, and settle by what is known of the outcome."""
        leaving = self._leave(post, token, ready, date)
        if leaving is None:
            _logger.warning("send.too_late", email_id=asked, request_id=post.items[0].request_id)
            return {}
        post, taken, at_the_latest = leaving
        if self.awake() > at_the_latest:
            Alerts(self.ledger).report("slow", f"{asked}: more than {OVERSLEPT:g} s from its last look to its request")
            why = "this machine slept, or Redis was slow, when it was to leave"
            return self._settle(post.items, "waiting", token, asked, why=why, retry_after=SLOW_AFTER * 1000)
        try:
            if isinstance(post.emails, list):
                accepted = self.provider.send_batch(post.emails, key=post.request)
            else:
                accepted = self.provider.send(post.emails, key=post.request)
        except SendError as error:
            details = self._fault(error, len(post.items))
            return self._settle(post.items, details.pop("outcome"), token, asked, why=error.reason, date=error.date, **taken, **details)
        rate = f"{accepted.rate:g}" if accepted.rate else None
        return self._settle(post.items, "accepted", token, asked, ids=accepted.ids, rate_seen=rate, date=accepted.date, **taken)

    def _fault(self, error: SendError, size: int) -> dict[str, Any]:
        """What the ledger is told of a request that was not, or perhaps not, accepted."""
        wait = round(min(error.retry_after or 0, LONGEST_WAIT) * 1000)
        match error.kind:
            case "refused":
                return {"outcome": "dissolved" if size > 1 else "refused"}
            case "closed":
                return {"outcome": "waiting", "gate": error.reason, "gate_until": self.ledger.now() + PROBE_AFTER * 1000}
            case "quota":
                return {"outcome": "waiting", "gate": error.reason, "gate_until": self._reset(error)}
            case "rate":
                return {"outcome": "waiting", "retry_after": wait or 1000, "hold": wait or 1000}
            case "wait":
                return {"outcome": "waiting", "retry_after": wait or UNREACHABLE_AFTER * 1000}
            case "conflict":
                return {"outcome": "conflict"}
            case "busy":
                return {"outcome": "ambiguous", "retry_after": BUSY_AFTER * 1000, "delays": self._delays()}
        return {"outcome": "ambiguous", "retry_after": wait, "delays": self._delays()}

    def _reset(self, error: SendError) -> int:
        """When an exhausted quota is full again: as the provider says, at the next day or month in UTC at the latest."""
        now = self.ledger.now()
        day = datetime.fromtimestamp(now / 1000, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        reset = (day.replace(day=1) + timedelta(days=32)).replace(day=1) if "monthly" in error.reason else day + timedelta(days=1)
        latest = round(reset.timestamp() * 1000)
        return round(min(now + error.retry_after * 1000, latest)) if error.retry_after else latest

    def _delays(self) -> list[int]:
        return [round(seconds * 1000 / self.settings.backoff_divisor) for seconds in RETRY_DELAYS]

    def _patience(self, slug: str) -> dict[str, Any]:
        campaign = self.catalog.campaigns.get(slug)
        return {"delays": self._delays(), "patience": campaign.late_after(self.settings.backoff_divisor) if campaign else 0}

    def _settle(self, items: list[Item], outcome: str, token: str, asked: str, **details: Any) -> dict[str, Settled]:
        settled = self.ledger.settle([item.id for item in items], outcome, token=token, at_work=asked, **details)
        for item, state in zip(items, settled, strict=True):
            self._report(item, state, outcome, details)
        return {state.id: state for state in settled}

    def _report(self, item: Item, state: Settled, outcome: str, details: Mapping[str, Any]) -> None:
        known = {"email_id": item.id, "state": state.state, "request_id": item.request_id, "attempts": state.attempts}
        if state.state == "sent":
            _logger.info("email.sent", **known)
        elif state.state in ("failed", "in-doubt") or state.attempts == len(RETRY_DELAYS):
            _logger.error("email.trouble", outcome=outcome, why=details.get("why"), **known)
        else:
            _logger.warning("email.not_sent", outcome=outcome, why=details.get("why"), next=state.next, **known)


def _new_post(written: list[tuple[Item, dict[str, Any]]], token: str, turn: int) -> _Post:
    """A first request, for one email or several."""
    items = [item for item, _ in written]
    alone = len(items) == 1
    emails = written[0][1] if alone else [email for _, email in written]
    return _Post(items, items[0].request if alone else f"batch-{token}", emails, json.dumps(emails), turn)


def _refusal(refused: Refused) -> Result:
    if refused.what == "gone":
        return Result("skipped", why="there is no such step")
    if refused.what == "done":
        state, _, why = refused.why.partition(": ")
        return Result("already-sent" if state == "sent" else _RESULTS.get(state, "parked"), why=why)
    return Result("parked", refused.until, refused.why or refused.what, paced=refused.what == "pace")


def _result(settled: Settled | None) -> Result:
    if settled is None:
        return Result("parked", why="the lease was lost")
    return Result(_RESULTS.get(settled.state, "parked"), settled.next, settled.why)
