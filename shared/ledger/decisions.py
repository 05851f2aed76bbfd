"""The ledger's decisions: one method for each script.

Every decision about an email is one Lua script, run whole or not at all.

The scripts lie in `scripts/`; each says in its head what it keeps true. `orders.py` has what they are asked,
`answers.py` what they answer. Instants are milliseconds since 1970 UTC, by the clock of Redis unless a clock is given.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError

from shared.core.errors import LedgerTooNew
from shared.domain.enrollments import Contact
from shared.domain.states import EnrollmentState, Refusal, StepState
from shared.ledger import version
from shared.ledger.answers import (
    Became,
    Claimed,
    Counted,
    Enrolled,
    Erased,
    Item,
    Leave,
    Refused,
    Released,
    Settled,
    Swept,
    Taken,
    enrollment_state,
    instant,
    step_state,
)
from shared.ledger.durability import Durability
from shared.ledger.orders import Ending, Enroll, Limit, Report, Restore, Resume
from shared.ledger.script_sources import sources

WINDOW = 23 * 3_600_000
KEEP_FINISHED = 90 * 86_400_000
BATCH = 100
AHEAD = 30  # milliseconds before its turn at which a request is frozen: with a hundred emails, that takes about ten


def _filled(order: object) -> dict[str, Any]:
    """What JSON is made of: the fields of an order that are known."""
    return {name: value for name, value in vars(order).items() if value is not None}


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


def _flat(values: Sequence[str]) -> dict[str, str]:
    return dict(zip(values[::2], values[1::2], strict=True))


class Decisions:
    """The scripts, one method each.

    Args:
        redis: a client that decodes answers to text.
        lease: seconds a claim holds.
        job_timeout: seconds a worker gives one job.
        clock: the time in milliseconds, for tests; without it Redis's own.
        durable: whether Redis keeps every write that it has answered; without it Redis is asked.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        lease: float = 45,
        job_timeout: float = 30,
        clock: Callable[[], int] | None = None,
        durable: bool | None = None,
    ) -> None:
        self.redis = redis
        self.lease = lease
        self._clock = clock
        self._durability = Durability(redis, durable)
        constants = {
            "LEASE": round(lease * 1000),
            "WINDOW": WINDOW,
            "KEEP_FINISHED": KEEP_FINISHED,
            "JOB_TIMEOUT": round(job_timeout),
            "AHEAD": AHEAD,
            "VERSION": version.VERSION,
        }
        self._scripts = {name: redis.register_script(source) for name, source in sources(constants).items()}

    def _decide(self, script: str, order: object, *texts: str) -> Any:
        """Run one script, named after its file; its order and answer stand in its head.

        Args:
            script: its name.
            order: what becomes JSON: a dataclass of orders.py, a dict or a number. What is None is left out.
            texts: what it need not look into, such as a request of a megabyte.

        Raises:
            LedgerTooNew: when a newer release has the ledger; nothing was read or written then.
        """
        known = (
            {name: value for name, value in order.items() if value is not None} if isinstance(order, dict) else order
        )
        try:
            return self._scripts[script](
                args=[self._clock() if self._clock else "", json.dumps(known, default=_filled), *texts]
            )
        except ResponseError as error:
            if str(error).startswith(version.TOO_NEW):
                raise LedgerTooNew(str(error).removeprefix(version.TOO_NEW), version.VERSION) from None
            raise

    def version(self) -> int:
        """The ledger's version; without a mark, the one that it counts as. Raises LedgerTooNew."""
        return int(self._decide("version", {}))

    def enroll(self, order: Enroll) -> Enrolled:
        """Enroll or track a contact."""
        what, which = self._decide("enroll", order)
        return Enrolled(what, str(which))

    def release(self, limit: int = 500) -> Released:
        """Put what is due on the queue, no more than `limit` wake-ups."""
        released, dropped, following = self._decide("release", limit)
        return Released(released, dropped, instant(following))

    def sweep(self, suspects: Iterable[str], *, grace: float = 5, limit: int = 500, queue_short: int = 100) -> Swept:
        """Look again at steps that are overdue for the second time.

        Args:
            suspects: the overdue email ids that the last pass returned.
            grace: seconds a wake-up may be late.
            limit: how many steps to look at, at most.
            queue_short: jobs on the queue from which nothing is swept: what waits there is not lost.
        """
        asked = {"grace": round(grace * 1000), "suspects": list(suspects), "limit": limit, "queue_short": queue_short}
        overdue, woken = self._decide("sweep", asked)
        return Swept(set(overdue), woken)

    def audit(self, enrollments: Iterable[str], *, repair: bool = False) -> list[str]:
        """Find open steps that are on no list, so that nothing would ever look at them.

        Args:
            enrollments: whose.
            repair: give each its wake-up back, and have the owner told; else nothing is changed.

        Returns:
            Their email ids.
        """
        return list(self._decide("audit", {"enrollments": list(enrollments), "repair": repair}))

    def claim(
        self,
        enrollment: str,
        step: int,
        *,
        token: str,
        late: Mapping[str, int],
        rate: float = 0,
        longest_wait: float = 1,
        batch_above: int = 0,
        ignore_late: bool = False,
        fenced: bool = False,
        account: str | None = None,
        date: int | None = None,
    ) -> Claimed | Refused:
        """Claim a step, and others with it where more are ready than can go singly.

        Args:
            enrollment: the enrollment's id.
            step: the step's number.
            token: who claims; the same for post and settle.
            late: milliseconds after its due from which a step is late, by campaign.
            rate: requests per second that the provider takes; 0: as it last said.
            longest_wait: seconds to wait for a turn at the most.
            batch_above: how many more must be ready for a batch; 0: by the rate.
            ignore_late: claim it even when it is late.
            fenced: whether the fence must be on: where there is a Notion, another copy of this ledger may be at work.
            account: a digest of the provider's key: what was posted with another is not repeated.
            date: the provider's time, in milliseconds since 1970 UTC, where it was asked because the last answer was
                `unheard`; 0: it did not say.
        """
        answer = self._decide(
            "claim",
            {
                "enrollment": enrollment,
                "step": step,
                "token": token,
                "late": dict(late),
                "ignore_late": ignore_late,
                "fenced": fenced,
                "rate": rate,
                "longest_wait": round(longest_wait * 1000),
                "batch": BATCH - 1 if self._durability.holds() else 0,
                "batch_above": batch_above,
                "account": account,
                "date": date,
            },
        )
        if answer[0] != "claimed":
            what, until, why, state = answer
            return Refused(Refusal(what), instant(until), why, step_state(state))
        items = [
            Item(e, int(n), slug, request_id, Contact(_flat(fields)), json.loads(values), retries)
            for e, n, slug, request_id, fields, values, retries in answer[3]
        ]
        return Claimed(int(answer[1]), int(answer[2]), items, answer[4], answer[5], bool(answer[6]))

    def post(
        self,
        members: Sequence[str],
        *,
        token: str,
        request: str,
        body: str,
        spare: float,
        turn: int = 0,
        rate: float = 0,
        account: str | None = None,
        date: int | None = None,
    ) -> Leave | None:
        """Ask whether a request may leave now, and freeze it.

        Args:
            members: the email ids in it.
            token: who claimed them.
            request: the request's id, also its idempotency key.
            body: what will be posted, as JSON.
            spare: seconds that the lease must still hold.
            turn: the turn at the provider that came with the claim, or with the last answer.
            rate, account: as for claim.
            date: the provider's time, in milliseconds since 1970 UTC, where it was asked just now; 0: it did not say.

        Returns:
            When it may leave, or that it must be asked again; None where it must not leave.
        """
        asked = {
            "members": list(members),
            "token": token,
            "request": request,
            "spare": round(spare * 1000),
            "turn": turn,
            "rate": rate,
            "account": account,
            "date": date,
        }
        answer = self._decide("post", asked, body)
        return Leave(int(answer[0]), int(answer[1]), bool(answer[2]), frozenset(answer[3])) if answer else None

    def settle(
        self, members: Sequence[str], ending: Ending, *, token: str, at_work: str | None = None
    ) -> list[Settled]:
        """Write down how a request ended.

        Args:
            members: the email ids in it.
            ending: how.
            token: who claimed them.
            at_work: the one whose job is at work here.
        """
        order = _filled(ending) | {"members": list(members), "token": token, "at_work": at_work}
        return [
            Settled(id, step_state(state), instant(following), int(attempts), why)
            for id, state, following, attempts, why in self._decide("settle", order)
        ]

    def receive(self, report: Report) -> str:
        """Take what the provider reports.

        Returns:
            `suppressed`, `recorded`, `ignored` or `duplicate`; `busy`: the email's sender is about to report, so it
            must be told again.
        """
        return str(self._decide("receive", report))

    def move(self, enrollment: str, *, from_anchor: int, to_anchor: int, dues: Mapping[int, int]) -> bool:
        """Move an enrollment's anchor and its untried steps; does nothing when the anchor is no longer
        `from_anchor`."""
        order = {"enrollment": enrollment, "from": from_anchor, "to": to_anchor, "dues": dict(dues)}
        return bool(self._decide("move", order))

    def postpone(self, enrollment: str, step: int, wait: float) -> int | None:
        """Look at a waiting step again in `wait` seconds; returns the instant, or None when it needs none."""
        return instant(self._decide("postpone", {"enrollment": enrollment, "step": step, "wait": round(wait * 1000)}))

    def skip(self, enrollment: str, step: int, why: str, *, ended: bool = False) -> StepState | None:
        """Leave a step out, where nothing of it has left; `ended`: also one that failed or is in doubt.

        Returns its state afterwards."""
        return step_state(self._decide("skip", {"enrollment": enrollment, "step": step, "why": why, "ended": ended}))

    def hurry(self, enrollment: str, step: int) -> str:
        """Send a step before its time; returns why not, or nothing."""
        return str(self._decide("hurry", {"enrollment": enrollment, "step": step})[0])

    def retry(self, enrollment: str, step: int, *, as_new: bool = False) -> str:
        """Try a step again that failed or is in doubt; returns why not, or nothing.

        Args:
            enrollment: the enrollment's id.
            step: the step's number.
            as_new: also where the first may have arrived, and can no longer be repeated as it was.
        """
        return str(self._decide("retry", {"enrollment": enrollment, "step": step, "anew": as_new})[0])

    def pause(self, enrollment: str) -> EnrollmentState | None:
        """Hold an enrollment; returns its state afterwards, None where there is none."""
        return enrollment_state(self._decide("pause", {"enrollment": enrollment}))

    def resume(self, order: Resume) -> EnrollmentState | None:
        """Let a paused enrollment go on; returns its state afterwards, None where there is none."""
        return enrollment_state(self._decide("resume", order))

    def cancel(self, enrollment: str, why: str) -> EnrollmentState | None:
        """End an enrollment for good; returns its state afterwards, None where there is none."""
        return enrollment_state(self._decide("cancel", {"enrollment": enrollment, "why": why}))

    def stop_sending(self, reason: str) -> None:
        """Close the gate until `start_sending`: behind it nothing is claimed, and nothing passes its last look."""
        self._decide("gate", {"reason": reason})

    def start_sending(self) -> None:
        """Open the gate, whatever closed it."""
        self._decide("gate", {})

    def suppress(self, contact: str, reason: str) -> int:
        """Stop email to a contact, for `bounced`, `complained`, `unsubscribed` or `manual`; returns how many
        enrollments that ended."""
        return int(self._decide("suppress", {"contact": contact, "reason": reason}))

    def lift(self, contact: str, reasons: Sequence[str], *, consent: str | None = None) -> list[str]:
        """Let a contact get email again.

        Args:
            contact: its digest.
            reasons: of which to lift; `unsubscribed` is lifted together with a new consent.
            consent: the words of that consent.

        Returns:
            The reasons that were there and are lifted.
        """
        return list(self._decide("lift", {"contact": contact, "reasons": list(reasons), "consent": consent}))

    def forget(self, contact: str, *, enrollments: Sequence[str], meetings: Sequence[str]) -> Erased:
        """Erase a contact but for its suppression, and for the marks that prevent a second enrollment.

        Args:
            contact: its digest.
            enrollments: those that no list holds.
            meetings: the keys of the meetings.
        """
        order = {"contact": contact, "enrollments": list(enrollments), "meetings": list(meetings)}
        return Erased(*(int(count) for count in self._decide("forget", order)))

    def restore(self, order: Restore) -> Became:
        """Put a person back, and one enrollment of theirs, as Notion tells it."""
        what, state, *rest = self._decide("restore", order)
        return Became(what, enrollment_state(state), *rest)

    def take(self, *, lease: float, fenced: bool = False) -> Taken | None:
        """Take the next thing that Notion must be told of.

        Args:
            lease: seconds that this may take.
            fenced: whether the fence must be on, as for a claim.
        """
        found = self._decide("take", {"lease": round(lease * 1000), "fenced": fenced})
        return Taken(*found) if found else None

    def recorded(self, member: str, version: str, *, back: bool = False, wait: float | None = None) -> int:
        """Notion was told of a thing, as it was when it was taken.

        Args:
            member: its name in the outbox.
            version: as of which change.
            back: it could not be told of anything; the thing is as ready as before.
            wait: this thing could not be written; seconds until it is tried again, doubled with each failure up to an
                hour.

        Returns:
            How often it failed.
        """
        order = {"member": member, "version": version, "back": back, "wait": _milliseconds(wait)}
        return int(self._decide("recorded", order))

    def empty(self, limit: int = 500) -> int:
        """Forget what Notion would be told of, where there is no Notion, no more than `limit` things; returns how many
        that were."""
        return int(self._decide("empty", limit))

    def tell(self, things: Sequence[tuple[str, str]]) -> int:
        """Have Notion told once more of things, by kind (`contact`, `enrollment` or `email`) and id; returns how
        many."""
        return int(self._decide("tell", {"things": list(things)}))

    def alert(self, cause: str, detail: str) -> None:
        """Have the owner told of something; see shared/ledger/alerts.py."""
        self._decide("alert", {"cause": cause, "detail": detail})

    def notice(self, *, lease: float) -> Taken | None:
        """Take the next thing that the owner must be told of; `lease` is the seconds that this may take."""
        found = self._decide("notice", {"lease": round(lease * 1000)})
        return Taken(found[0], found[1], int(found[2] or 0), found[3] or "") if found else None

    def told(self, member: str, version: str, *, count: int = 0, quiet: float = 0, wait: float | None = None) -> int:
        """The owner was told of a thing, as it was when it was taken.

        Args:
            member: its name.
            version: as of which change.
            count: how often an alert had come by then.
            quiet: seconds until what comes of the same cause is told.
            wait: it could not be told; seconds until it is tried again.

        Returns:
            How often it failed.
        """
        known = {"member": member, "version": version, "count": count}
        return int(self._decide("told", known | {"quiet": _milliseconds(quiet), "wait": _milliseconds(wait)}))

    def limit(self, limit: Limit) -> Counted:
        """Count what may be done only so often."""
        return Counted(*(int(number) for number in self._decide("limit", limit)))

    def pace(self, provider: str, rate: float, *, longest: float) -> float:
        """Ask for a turn at a provider.

        Args:
            provider: whose.
            rate: requests a second; 0: as it last said.
            longest: seconds to wait for the turn at the most.

        Returns:
            The seconds to wait for the turn, which is then ours; or, negative, how long it would have been.
        """
        return int(self._decide("pace", {"provider": provider, "rate": rate, "longest": _milliseconds(longest)})) / 1000

    def hold(self, provider: str, seconds: float) -> None:
        """Leave a provider alone for a while."""
        self._decide("pace", {"provider": provider, "hold": _milliseconds(seconds)})
