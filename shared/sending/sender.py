"""Sending one step: claim, compose and freeze, post, settle.

The ledger decides; this module does the work in between."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import clock_gettime
from typing import Any, NamedTuple

from shared.core import log
from shared.core.errors import RenderingError, SendError
from shared.core.settings import Settings
from shared.domain.catalog import Catalog
from shared.domain.states import Outcome, Refusal, StepState
from shared.emails.template_store import Templates
from shared.integrations.provider import CLOCK_SHARE, Provider
from shared.ledger import ids
from shared.ledger.alerts import Alerts
from shared.ledger.claims import Claimed, Item, Leave, Refused, Settled
from shared.ledger.client import Ledger
from shared.ledger.contacts import Contacts
from shared.ledger.decisions import AHEAD
from shared.ledger.orders import Apart, Ending
from shared.sending import endings, late_policy
from shared.sending.composing import compose
from shared.sending.post import Post
from shared.sending.result import Result

OVERSLEPT = 1.0  # seconds after its turn, a request may no longer leave: this machine was asleep, or stopped
SLOW_AFTER = 5  # seconds until such a request is tried again
_SINCE_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # macOS has only the second, which counts sleep
_logger = log.logger("sending")


def _seconds_since_boot() -> float:
    """Includes the time the machine slept, which time.monotonic() leaves out on Linux."""
    return clock_gettime(_SINCE_BOOT)


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
        claim = self._claim_step(enrollment, step, token)
        if isinstance(claim, Refused):
            return Result.of_refusal(claim)
        ready = time.monotonic() + claim.wait / 1000
        asked = ids.email_id(enrollment, step)
        post: Post | None
        settled: dict[str, Settled] = {}
        if claim.request:
            post = Post.repeated(claim)
        else:
            post, settled = self._compose(claim, token, asked)
        if post:
            date = self.provider.time() or 0 if claim.ask_time else None
            settled |= self._deliver(post, token, asked, ready, date)
        return Result.of_settled(settled.get(asked))

    @property
    def _account(self) -> str:
        """A digest of the provider's key: a request posted with one key is unknown to another."""
        return ids.digest(f"{self.settings.resend_api_url} {self.settings.resend_api_key}")

    def _claim_step(self, enrollment: str, step: int, token: str) -> Claimed | Refused:
        """Claim a step: with the provider's time if the ledger needs it, and by its campaign's policy if it is late."""
        claim = self._claim(enrollment, step, token)
        if isinstance(claim, Refused) and claim.what == Refusal.UNHEARD:
            claim = self._claim(enrollment, step, token, date=self.provider.time() or 0)
        if isinstance(claim, Refused) and claim.what == Refusal.LATE:
            claim = late_policy.apply(
                enrollment, step, ledger=self.ledger, catalog=self.catalog, settings=self.settings
            ) or self._claim(enrollment, step, token, ignore_late=True)
        return claim

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

    def _compose(self, claim: Claimed, token: str, asked: str) -> tuple[Post | None, dict[str, Settled]]:
        """Write the emails of a claim; those that cannot be written are settled at once and do not stop the others."""
        written: list[tuple[Item, dict[str, Any]]] = []
        settled: dict[str, Settled] = {}
        for item in claim.items:
            Contacts(self.ledger).keep_suppressed(item.contact.fields.get("email", ""))
            try:
                email = compose(item, catalog=self.catalog, templates=self.templates, settings=self.settings)
            except RenderingError as error:
                campaign = self.catalog.campaigns.get(item.slug)
                ending = endings.of_unwritten(campaign, str(error), self.settings)
                settled |= self._settle([item], ending, token, asked)
                continue
            if email is None:
                settled |= self._settle(
                    [item], Ending(Outcome.SKIPPED, why="the campaign no longer has this step"), token, asked
                )
            else:
                written.append((item, email))
        return (Post.first(written, token, claim.turn) if written else None), settled

    def _last_look(self, post: Post, token: str, turn: int, date: int | None) -> Leave | None:
        return self.ledger.post(
            [item.id for item in post.items],
            token=token,
            request=post.request,
            body=post.body,
            spare=self.settings.provider_timeout * (1 + CLOCK_SHARE) + 1,
            permissive=post.permissive,
            turn=turn,
            rate=self.settings.resend_rate,
            account=self._account,
            date=date,
        )

    def _leave(self, post: Post, token: str, ready: float, date: int | None) -> tuple[Post, _Taken, float] | None:
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

    def _deliver(self, post: Post, token: str, asked: str, ready: float, date: int | None) -> dict[str, Settled]:
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
        ending = replace(self._post(post), turn=taken.turn, left=taken.left)
        return self._settle(post.items, ending, token, asked)

    def _post(self, post: Post) -> Ending:
        """Post a request; returns how it ended, as far as the provider's answer tells."""
        try:
            if isinstance(post.emails, list):
                accepted = self.provider.send_batch(post.emails, key=post.request, permissive=post.permissive)
            else:
                accepted = self.provider.send(post.emails, key=post.request)
        except SendError as error:
            ending = endings.of_error(error, len(post.items), ledger=self.ledger, settings=self.settings)
            return replace(ending, why=error.reason, date=error.date)
        return endings.of_answer(accepted, [item.id for item in post.items])

    def _settle(self, items: list[Item], ending: Ending, token: str, asked: str) -> dict[str, Settled]:
        settled = self.ledger.settle([item.id for item in items], ending, token=token, at_work=asked)
        for item, state in zip(items, settled, strict=True):
            _report(item, state, (ending.others or {}).get(item.id, ending))
        return {state.id: state for state in settled}


def _report(item: Item, settled: Settled, ending: Ending | Apart) -> None:
    known = {"email_id": item.id, "state": settled.state, "request_id": item.request_id, "attempts": settled.attempts}
    if settled.state == StepState.SENT:
        _logger.info("email.sent", **known)
    elif (settled.state and settled.state.needs_a_person) or settled.attempts == len(endings.RETRY_DELAYS):
        _logger.error("email.trouble", outcome=ending.outcome, why=ending.why, **known)
    else:
        _logger.warning("email.not_sent", outcome=ending.outcome, why=ending.why, next=settled.next, **known)
