"""The ledger's decisions: one method for each script.

Every decision about an email is one Lua script, which runs completely or not at all.

The scripts are in `scripts/`; the head of each says what it keeps true. `orders.py`, `enroll_orders.py` and
`restore_orders.py` have what they take, `answers.py` and `claims.py` what they return. Instants are milliseconds since
1970 UTC, by Redis's clock unless a clock is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from redis import Redis

from shared.domain.states import EnrollmentState, StepState
from shared.ledger import version
from shared.ledger.answers import (
    Asking,
    Became,
    Counted,
    Enrolled,
    Erased,
    Purged,
    Released,
    Swept,
    Taken,
    enrollment_state,
    instant,
    step_state,
)
from shared.ledger.claims import Claimed, Leave, Refused, Settled, claim_answer
from shared.ledger.durability import Durability
from shared.ledger.enroll_orders import Enroll
from shared.ledger.orders import Ending, Limit, Report, Resume
from shared.ledger.restore_orders import Restore
from shared.ledger.script_runner import ScriptRunner, filled

WINDOW = 23 * 3_600_000
KEEP_FINISHED = 90 * 86_400_000
BATCH = 100
AHEAD = 30  # how many milliseconds before its turn a request is frozen; with a hundred emails, that takes about ten


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


class Decisions:
    """The scripts, one method each.

    Args:
        redis: a client that decodes answers to text.
        lease: seconds a claim holds.
        job_timeout: seconds a worker gives one job.
        clock: returns the time in milliseconds, for tests; without it, Redis's clock counts.
        durable: whether Redis keeps every write that it has confirmed; without it, Redis is asked.
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
        self._scripts = ScriptRunner(redis, constants)

    def _decide(self, script: str, order: object, *texts: str) -> Any:
        """Run one script, as the runner does; every decision passes here."""
        return self._scripts.run(script, order, *texts, now=self._clock() if self._clock else None)

    def version(self) -> int:
        """The ledger's version; without a mark, the version it counts as. Raises LedgerTooNew."""
        return int(self._decide("version", {}))

    def enroll(self, order: Enroll) -> Enrolled:
        """Enroll or track a contact."""
        what, which = self._decide("enroll", order)
        return Enrolled(what, str(which))

    def release(self, limit: int = 500) -> Released:
        """Put due wake-ups on the queue, at most `limit`."""
        released, dropped, following = self._decide("release", limit)
        return Released(released, dropped, instant(following))

    def sweep(self, suspects: Iterable[str], *, grace: float = 5, limit: int = 500, queue_short: int = 100) -> Swept:
        """Look again at steps that are overdue for the second time.

        Args:
            suspects: the overdue email ids that the last pass returned.
            grace: seconds a wake-up may be late.
            limit: the maximum number of steps to look at.
            queue_short: with at least this many jobs on the queue, nothing is swept: jobs that wait there are not lost.
        """
        asked = {"grace": round(grace * 1000), "suspects": list(suspects), "limit": limit, "queue_short": queue_short}
        overdue, woken = self._decide("sweep", asked)
        return Swept(set(overdue), woken)

    def audit(self, enrollments: Iterable[str], *, repair: bool = False) -> list[str]:
        """Find open steps that are on no list, so nothing would ever look at them.

        Args:
            enrollments: the ids of those to audit.
            repair: give each step its wake-up back, and alert the owner; without it, nothing changes.

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
        """Claim a step, and others with it if more are ready than can go one by one.

        Args:
            enrollment: the enrollment's id.
            step: the step's number.
            token: who claims; the same for post and settle.
            late: by campaign, how many milliseconds after its due time a step is late.
            rate: requests per second that the provider allows; 0: as it last said.
            longest_wait: maximum seconds to wait for a turn.
            batch_above: how many more must be ready for a batch; 0: decided by the rate.
            ignore_late: claim it even if it is late.
            fenced: whether the fence must be on: with Notion, another copy of this ledger may be at work.
            account: a digest of the provider's key: a request posted with another key is not repeated.
            date: the provider's time, in milliseconds since 1970 UTC, if it was asked because the last answer was
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
        return claim_answer(answer)

    def post(
        self,
        members: Sequence[str],
        *,
        token: str,
        request: str,
        body: str,
        spare: float,
        permissive: bool = False,
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
            spare: seconds that the lease must still last.
            permissive: whether it is a batch in which a wrong email stops none of the others.
            turn: the turn at the provider, from the claim or from the last answer.
            rate, account: as for claim.
            date: the provider's time, in milliseconds since 1970 UTC, if it was just asked; 0: it did not say.

        Returns:
            When it may leave, or that you must ask again; None if it must not leave.
        """
        asked = {
            "members": list(members),
            "token": token,
            "request": request,
            "spare": round(spare * 1000),
            "permissive": permissive or None,
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
        """Record how a request ended.

        Args:
            members: the email ids in it.
            ending: how it ended.
            token: who claimed them.
            at_work: the email whose job is at work here.
        """
        order = filled(ending) | {"members": list(members), "token": token, "at_work": at_work}
        return [
            Settled(id, step_state(state), instant(following), int(attempts), why)
            for id, state, following, attempts, why in self._decide("settle", order)
        ]

    def receive(self, report: Report) -> str:
        """Process a report from the provider.

        Returns:
            `suppressed`, `recorded`, `ignored` or `duplicate`; `busy`: the email's sender is about to report, so the
            report must come again.
        """
        return str(self._decide("receive", report))

    def move(self, enrollment: str, *, from_anchor: int, to_anchor: int, dues: Mapping[int, int]) -> bool:
        """Move an enrollment's anchor and its untried steps; does nothing if the anchor is no longer `from_anchor`."""
        order = {"enrollment": enrollment, "from": from_anchor, "to": to_anchor, "dues": dict(dues)}
        return bool(self._decide("move", order))

    def postpone(self, enrollment: str, step: int, wait: float) -> int | None:
        """Look at a waiting step again in `wait` seconds; returns the instant, or None if it need not be looked at."""
        return instant(self._decide("postpone", {"enrollment": enrollment, "step": step, "wait": round(wait * 1000)}))

    def skip(self, enrollment: str, step: int, why: str, *, ended: bool = False) -> StepState | None:
        """Skip a step, if no request for it has left; `ended`: also one that failed or is in doubt.

        Returns its state afterwards."""
        return step_state(self._decide("skip", {"enrollment": enrollment, "step": step, "why": why, "ended": ended}))

    def hurry(self, enrollment: str, step: int) -> str:
        """Send a step before its time; returns why not, or an empty string."""
        return str(self._decide("hurry", {"enrollment": enrollment, "step": step})[0])

    def retry(self, enrollment: str, step: int, *, as_new: bool = False) -> str:
        """Retry a step that failed or is in doubt; returns why not, or an empty string.

        Args:
            enrollment: the enrollment's id.
            step: the step's number.
            as_new: also if the first email may have arrived and can no longer be repeated as it was.
        """
        return str(self._decide("retry", {"enrollment": enrollment, "step": step, "anew": as_new})[0])

    def pause(self, enrollment: str) -> EnrollmentState | None:
        """Pause an enrollment; returns its state afterwards, None if there is none."""
        return enrollment_state(self._decide("pause", {"enrollment": enrollment}))

    def resume(self, order: Resume) -> EnrollmentState | None:
        """Resume a paused enrollment; returns its state afterwards, None if there is none."""
        return enrollment_state(self._decide("resume", order))

    def cancel(self, enrollment: str, why: str) -> EnrollmentState | None:
        """End an enrollment permanently; returns its state afterwards, None if there is none."""
        return enrollment_state(self._decide("cancel", {"enrollment": enrollment, "why": why}))

    def stop_sending(self, reason: str) -> None:
        """Close the gate until `start_sending`: while it is closed, nothing is claimed or passes its last look."""
        self._decide("gate", {"reason": reason})

    def start_sending(self) -> None:
        """Open the gate, regardless of what closed it."""
        self._decide("gate", {})

    def suppress(self, contact: str, reason: str, *, source: str = "link") -> int:
        """Stop email to a contact, for `bounced`, `complained`, `unsubscribed` or `manual`; returns how many
        enrollments that ended. `source` is who reports an unsubscribe."""
        return int(self._decide("suppress", {"contact": contact, "reason": reason, "source": source}))

    def lift(self, contact: str, reasons: Sequence[str], *, consent: str | None = None) -> list[str]:
        """Let a contact get email again.

        Args:
            contact: its digest.
            reasons: those to lift; `unsubscribed` is lifted together with a new consent.
            consent: the wording of that consent.

        Returns:
            The reasons that applied and are now lifted.
        """
        return list(self._decide("lift", {"contact": contact, "reasons": list(reasons), "consent": consent}))

    def forget(
        self,
        contact: str,
        *,
        enrollments: Sequence[str],
        meetings: Sequence[str],
        answers: Mapping[str, str] | None = None,
    ) -> Erased:
        """Erase a contact, except for its suppression and the marks that prevent a second enrollment.

        Args:
            contact: its digest.
            enrollments: those that are on no list.
            meetings: the keys of the meetings.
            answers: by key, the answers to write over those that hold the address.
        """
        order = {
            "contact": contact,
            "enrollments": list(enrollments),
            "meetings": list(meetings),
            "answers": list((answers or {}).items()),
        }
        return Erased(*(int(count) for count in self._decide("forget", order)))

    def purge(self, since: int, contacts: Sequence[str], slugs: Sequence[str], *, dry: bool = False) -> Purged:
        """Erase what unproved sign-ups have left since an instant.

        Args:
            since: in milliseconds since 1970 UTC.
            contacts: those to look at; proved, confirmed and earlier ones stay.
            slugs: every campaign.
            dry: only count.
        """
        order = {"since": since, "contacts": list(contacts), "slugs": list(slugs), "held": BATCH, "dry": dry}
        found, enrollments, held, pages = self._decide("purge", order)
        return Purged(int(found), int(enrollments), int(held), frozenset(pages))

    def restore(self, order: Restore) -> Became:
        """Restore a person, and one of their enrollments, from Notion."""
        what, state, *rest = self._decide("restore", order)
        return Became(what, enrollment_state(state), *rest)

    def confirmation(self, *, lease: float, fenced: bool = False) -> Asking | None:
        """Take the next contact who must be asked for a confirmation.

        Args:
            lease: seconds that asking may take.
            fenced: whether the fence must be on, as for a claim.
        """
        found = self._decide("confirmation", {"lease": round(lease * 1000), "fenced": fenced})
        return Asking(found[0], int(found[1]), int(found[2]), tuple(found[3])) if found else None

    def asked(self, contact: str, outcome: Literal["sent", "refused", "wait"], *, wait: float | None = None) -> None:
        """Record how asking a contact for a confirmation ended; `wait`: seconds until it is tried again."""
        self._decide("asked", {"contact": contact, "outcome": outcome, "wait": _milliseconds(wait)})

    def take(self, *, lease: float, fenced: bool = False) -> Taken | None:
        """Take the next outbox entry for Notion.

        Args:
            lease: seconds that recording it may take.
            fenced: whether the fence must be on, as for a claim.
        """
        found = self._decide("take", {"lease": round(lease * 1000), "fenced": fenced})
        return Taken(*found) if found else None

    def recorded(self, member: str, version: str, *, back: bool = False, wait: float | None = None) -> int:
        """Mark an outbox entry as recorded in Notion, as it was when it was taken.

        Args:
            member: its name in the outbox.
            version: its version when it was taken.
            back: nothing could be recorded; the entry is as ready as before.
            wait: this entry could not be written; seconds until it is tried again, doubled with each failure up to an
                hour.

        Returns:
            How often it has failed.
        """
        order = {"member": member, "version": version, "back": back, "wait": _milliseconds(wait)}
        return int(self._decide("recorded", order))

    def empty(self, limit: int = 500) -> int:
        """Drop up to `limit` outbox entries, if there is no Notion; returns how many."""
        return int(self._decide("empty", limit))

    def tell(self, things: Sequence[tuple[str, str]]) -> int:
        """Have things recorded in Notion again, by kind (`contact`, `enrollment` or `email`) and id; returns how
        many."""
        return int(self._decide("tell", {"things": list(things)}))

    def alert(self, cause: str, detail: str) -> None:
        """Alert the owner; see shared/ledger/alerts.py."""
        self._decide("alert", {"cause": cause, "detail": detail})

    def notice(self, *, lease: float) -> Taken | None:
        """Take the next alert for the owner, or lead, or many leads as one; `lease` is how many seconds sending may
        take."""
        found = self._decide("notice", {"lease": round(lease * 1000)})
        if not found:
            return None
        members = tuple(zip(*found[4:], strict=True)) if found[4:] else ((found[0], found[1]),)
        return Taken(found[0], found[1], int(found[2] or 0), found[3] or "", members)

    def told(
        self,
        members: Sequence[tuple[str, str]],
        *,
        count: int = 0,
        quiet: float = 0,
        wait: float | None = None,
    ) -> int:
        """Mark an alert, a lead or a summary as sent to the owner, as it was when it was taken.

        Args:
            members: the name and the version of each, as they were taken.
            count: how often it had come by then.
            quiet: seconds until the next alert for the same cause is sent.
            wait: it could not be sent; seconds until it is tried again.

        Returns:
            How often it has failed.
        """
        known = {"members": list(members), "count": count}
        return int(self._decide("told", known | {"quiet": _milliseconds(quiet), "wait": _milliseconds(wait)}))

    def limit(self, *limits: Limit) -> Counted:
        """Count an action that has limits."""
        return Counted(*(int(number) for number in self._decide("limit", {"limits": limits})))

    def give_back(self, limit: Limit) -> None:
        """Take an action off the count of its limit, because it does not count after all."""
        self._decide("limit", {"limits": [limit], "back": True})

    def sign_out(self, session: str, lasts: int) -> None:
        """Remember that a console session has ended; see shared/ledger/sessions.py."""
        self._decide("signout", {"session": session, "lasts": lasts * 1000})

    def write_fence(self, fields: Mapping[str, str], without: Sequence[str]) -> None:
        """Set some fields of the fence and remove others; see shared/ledger/fence_state.py."""
        self._decide("fence", {"set": dict(fields), "remove": list(without)})

    def pace(self, provider: str, rate: float, *, longest: float) -> float:
        """Ask for a turn at a provider.

        Args:
            provider: its name.
            rate: requests per second; 0: as it last said.
            longest: maximum seconds to wait for the turn.

        Returns:
            The seconds to wait for the turn, which is then ours; or, if negative, how long the wait would have been.
        """
        return int(self._decide("pace", {"provider": provider, "rate": rate, "longest": _milliseconds(longest)})) / 1000

    def hold(self, provider: str, seconds: float) -> None:
        """Hold back requests to a provider for a while."""
        self._decide("pace", {"provider": provider, "hold": _milliseconds(seconds)})
