"""Sending one step: claim, compose and freeze, post, settle.

The ledger decides; this module does the work in between."""

from __future__ import annotations

import json
import math
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from time import clock_gettime
from typing import Any, NamedTuple

from shared.core import log
from shared.core.errors import RenderingError, SendError
from shared.core.settings import Settings
from shared.domain import timing
from shared.domain.catalog import Campaign, Catalog
from shared.domain.enrollments import Enrollment
from shared.domain.states import Outcome, Refusal, StepState
from shared.emails.template_store import Templates
from shared.integrations.provider import CLOCK_SHARE, Provider
from shared.ledger import ids
from shared.ledger.alerts import Alerts
from shared.ledger.answers import Claimed, Item, Leave, Refused, Settled
from shared.ledger.client import Ledger
from shared.ledger.decisions import AHEAD
from shared.ledger.orders import Ending
from shared.sending.composing import compose

LONGEST_WAIT = 3600  # seconds: the longest wait that a provider can ask for, except for its quota
OVERSLEPT = 1.0  # seconds after its turn, a request may no longer leave: this machine was asleep, or stopped
SLOW_AFTER = 5  # seconds until such a request is tried again
PROBE_AFTER = 60  # seconds until one email is tried again behind a closed gate
UNREACHABLE_AFTER = 10
BUSY_AFTER = 60
RETRY_DELAYS = (60, 300, 3600)  # before the second attempt, the third, and all later ones; from the first post
_SINCE_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # macOS has only the second, which counts sleep
_logger = log.logger("sending")


def _seconds_since_boot() -> float:
    """Includes the time the machine slept, which time.monotonic() leaves out on Linux."""
    return clock_gettime(_SINCE_BOOT)


@dataclass(frozen=True)
class Result:
    """How a send ended.

    Attributes:
        result: `sent`, `skipped`, `already-sent`, `parked`, `failed` or `in-doubt`.
        until: when the ledger looks again, in milliseconds since 1970 UTC, if it will.
        why: the reason, without an address.
        paced: whether it is parked because it got no turn at the provider.
    """

    result: str
    until: int | None = None
    why: str = ""
    paced: bool = False


@dataclass(frozen=True)
class _Post:
    """One request: its emails' items, its id (also the idempotency key), what is posted, the same as it is frozen, and
    its turn at the provider."""

    items: list[Item]
    request: str
    emails: dict[str, Any] | list[dict[str, Any]]
    body: str
    turn: int

    def without(self, gone: frozenset[str], token: str) -> _Post:
        """A new request for the other emails; only for one that was never posted."""
        emails = self.emails if isinstance(self.emails, list) else [self.emails]
        return _new_post(
            [pair for pair in zip(self.items, emails, strict=True) if pair[0].id not in gone], token, self.turn
        )


class _Taken(NamedTuple):
    """The turn that a request took at the provider, and when it left."""

    turn: int
    left: int


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
        """Send one step now, if the ledger allows it; others that are ready may go along.

        Args:
            enrollment: the enrollment's id.
            step: the step's number.
        """
        token = uuid.uuid4().hex
        claim = self._claim(enrollment, step, token)
        if isinstance(claim, Refused) and claim.what == Refusal.UNHEARD:
            claim = self._claim(enrollment, step, token, date=self.provider.time() or 0)
        if isinstance(claim, Refused) and claim.what == Refusal.LATE:
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
        """A digest of the provider's key: a request posted with one key is unknown to another."""
        return ids.digest(f"{self.settings.resend_api_url} {self.settings.resend_api_key}")

    def _claim(
        self, enrollment: str, step: int, token: str, *, ignore_late: bool = False, date: int | None = None
    ) -> Claimed | Refused:
        return self.ledger.claim(
            enrollment,
            step,
            token=token,
            late={
                slug: campaign.late_after(self.settings.backoff_divisor)
                for slug, campaign in self.catalog.campaigns.items()
            },
            rate=self.settings.resend_rate,
            batch_above=self.settings.resend_batch_above,
            ignore_late=ignore_late,
            fenced=self.settings.fenced,
            account=self._account,
            date=date,
        )

    def _be_late(self, enrollment: str, step: int, token: str) -> Claimed | Refused:
        """Apply the campaign's late policy to a step that was due long ago, and claim what may still go."""
        found = self.ledger.enrollment(enrollment)
        campaign = self.catalog.campaigns.get(found.slug) if found else None
        if found and campaign and campaign.late.policy == "skip":
            return Refused(Refusal.DONE, why="late", state=self.ledger.skip(enrollment, step, "late"))
        if found and campaign and campaign.late.policy == "shift":
            self._shift(found, campaign, step)
        return self._claim(enrollment, step, token, ignore_late=True)

    def _shift(self, run: Enrollment, campaign: Campaign, step: int) -> None:
        """Move the enrollment's anchor so that the late step is due now and the gaps after it stay the same."""
        contact = self.ledger.contact(run.contact)
        zone = timing.zone(contact.fields.get("timezone") if contact else None, self.settings.business_timezone)
        window = campaign.window.window if campaign.window else None
        to_anchor = timing.shifted(timing.Delay(step, run.step(step).offset), self.ledger.now())
        waiting = [timing.Delay(s.number, s.offset) for s in run.steps if s.state == StepState.SCHEDULED]
        dues = timing.dues(to_anchor, waiting, window, zone)
        self.ledger.move(run.id, from_anchor=run.anchor, to_anchor=to_anchor, dues=dues)
        _logger.info(
            "run.shifted", enrollment=run.id, step=step, by_ms=to_anchor - run.anchor, request_id=run.request_id
        )

    def _compose(self, claim: Claimed, token: str, asked: str) -> tuple[_Post | None, dict[str, Settled]]:
        """Write the emails of a claim; those that cannot be written are settled at once and do not stop the others."""
        written: list[tuple[Item, dict[str, Any]]] = []
        settled: dict[str, Settled] = {}
        for item in claim.items:
            try:
                email = compose(item, catalog=self.catalog, templates=self.templates, settings=self.settings)
            except RenderingError as error:
                settled |= self._settle([item], self._unwritten(item.slug, str(error)), token, asked)
                continue
            if email is None:
                settled |= self._settle(
                    [item], Ending(Outcome.SKIPPED, why="the campaign no longer has this step"), token, asked
                )
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

    def _leave(self, post: _Post, token: str, ready: float, date: int | None) -> tuple[_Post, _Taken, float] | None:
        """Wait for our turn and take the last look.

        Returns:
            What may leave, without emails that may no longer go; its turn and when it leaves; and by when it must have
            left, in seconds since boot. None if nothing may leave.
        """
        turn = post.turn
        while True:
            self.sleep(max(0.0, ready - AHEAD / 1000 - time.monotonic()))
            began, awake = time.monotonic(), self.awake()
            leave = self._last_look(post, token, turn, date)
            if leave is None:
                return None
            date = None  # it is used once
            ready, turn = began + leave.wait / 1000, leave.turn
            if leave.without:
                post = post.without(leave.without, token)
            if not leave.again:
                break
        if leave.wait:
            self.sleep(max(0.0, ready - time.monotonic()))
        left = leave.now + math.ceil((time.monotonic() - began) * 1000)
        return post, _Taken(turn, left), awake + leave.wait / 1000 + OVERSLEPT

    def _deliver(self, post: _Post, token: str, asked: str, ready: float, date: int | None) -> dict[str, Settled]:
        """Post at our turn, and settle by what is known about the outcome."""
        leaving = self._leave(post, token, ready, date)
        if leaving is None:
            _logger.warning("send.too_late", email_id=asked, request_id=post.items[0].request_id)
            return {}
        post, taken, at_the_latest = leaving
        if self.awake() > at_the_latest:
            detail = f"{asked}: more than {OVERSLEPT:g} s between its last look and its request"
            Alerts(self.ledger).report("slow", detail)
            why = "this machine slept, or Redis was slow, when it should have left"
            return self._settle(
                post.items, Ending(Outcome.WAITING, why=why, retry_after=SLOW_AFTER * 1000), token, asked
            )
        try:
            if isinstance(post.emails, list):
                accepted = self.provider.send_batch(post.emails, key=post.request)
            else:
                accepted = self.provider.send(post.emails, key=post.request)
        except SendError as error:
            ending = replace(self._fault(error, len(post.items)), why=error.reason, date=error.date)
        else:
            rate = f"{accepted.rate:g}" if accepted.rate else None
            ending = Ending(Outcome.ACCEPTED, ids=accepted.ids, rate_seen=rate, date=accepted.date)
        return self._settle(post.items, replace(ending, turn=taken.turn, left=taken.left), token, asked)

    def _fault(self, error: SendError, size: int) -> Ending:
        """How a request ended that was not, or may not have been, accepted."""
        wait = round(min(error.retry_after or 0, LONGEST_WAIT) * 1000)
        match error.kind:
            case "refused":
                return Ending(Outcome.DISSOLVED if size > 1 else Outcome.REFUSED)
            case "closed":
                return Ending(Outcome.WAITING, gate=error.reason, gate_until=self.ledger.now() + PROBE_AFTER * 1000)
            case "quota":
                return Ending(Outcome.WAITING, gate=error.reason, gate_until=self._reset(error))
            case "rate":
                return Ending(Outcome.WAITING, retry_after=wait or 1000, hold=wait or 1000)
            case "wait":
                return Ending(Outcome.WAITING, retry_after=wait or UNREACHABLE_AFTER * 1000)
            case "conflict":
                return Ending(Outcome.CONFLICT)
            case "busy":
                return Ending(Outcome.AMBIGUOUS, retry_after=BUSY_AFTER * 1000, delays=self._delays())
            case "ambiguous":
                return Ending(Outcome.AMBIGUOUS, retry_after=wait, delays=self._delays())

    def _reset(self, error: SendError) -> int:
        """When an exhausted quota is full again: when the provider says, but at the next day or month in UTC at the
        latest."""
        now = self.ledger.now()
        day = datetime.fromtimestamp(now / 1000, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        reset = (
            (day.replace(day=1) + timedelta(days=32)).replace(day=1)
            if "monthly" in error.reason
            else day + timedelta(days=1)
        )
        latest = round(reset.timestamp() * 1000)
        return round(min(now + error.retry_after * 1000, latest)) if error.retry_after else latest

    def _delays(self) -> list[int]:
        return [round(seconds * 1000 / self.settings.backoff_divisor) for seconds in RETRY_DELAYS]

    def _unwritten(self, slug: str, why: str) -> Ending:
        """The ending for an email that cannot be written, because its template is wrong now."""
        campaign = self.catalog.campaigns.get(slug)
        patience = campaign.late_after(self.settings.backoff_divisor) if campaign else 0
        return Ending(Outcome.FAILING, why=why, delays=self._delays(), patience=patience)

    def _settle(self, items: list[Item], ending: Ending, token: str, asked: str) -> dict[str, Settled]:
        settled = self.ledger.settle([item.id for item in items], ending, token=token, at_work=asked)
        for item, state in zip(items, settled, strict=True):
            _report(item, state, ending)
        return {state.id: state for state in settled}


def _report(item: Item, settled: Settled, ending: Ending) -> None:
    known = {"email_id": item.id, "state": settled.state, "request_id": item.request_id, "attempts": settled.attempts}
    if settled.state == StepState.SENT:
        _logger.info("email.sent", **known)
    elif (settled.state and settled.state.needs_a_person) or settled.attempts == len(RETRY_DELAYS):
        _logger.error("email.trouble", outcome=ending.outcome, why=ending.why, **known)
    else:
        _logger.warning("email.not_sent", outcome=ending.outcome, why=ending.why, next=settled.next, **known)


def _new_post(written: list[tuple[Item, dict[str, Any]]], token: str, turn: int) -> _Post:
    """A first request, for one email or several."""
    items = [item for item, _ in written]
    alone = len(items) == 1
    emails = written[0][1] if alone else [email for _, email in written]
    return _Post(items, items[0].request if alone else f"batch-{token}", emails, json.dumps(emails), turn)


def _refusal(refused: Refused) -> Result:
    match refused.what:
        case Refusal.GONE:
            return Result("skipped", why="there is no such step")
        case Refusal.DONE:
            return Result("already-sent" if refused.state == StepState.SENT else _now(refused.state), why=refused.why)
        case Refusal.NOT_YET | Refusal.WAITS | Refusal.CLOSED | Refusal.PACE | Refusal.LATE | Refusal.UNHEARD:
            return Result("parked", refused.until, refused.why or refused.what, paced=refused.what == Refusal.PACE)


def _result(settled: Settled | None) -> Result:
    if settled is None:
        return Result("parked", why="the lease was lost")
    return Result(_now(settled.state), settled.next, settled.why)


def _now(state: StepState | None) -> str:
    """What a step's state means for the worker that asked for it."""
    match state:
        case StepState.SENT | StepState.FAILED | StepState.IN_DOUBT | StepState.SKIPPED:
            return state
        case StepState.CANCELLED:
            return "skipped"
        case StepState.SCHEDULED | StepState.SENDING | None:
            return "parked"
