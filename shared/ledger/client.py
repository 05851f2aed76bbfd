"""The ledger's client: one method for each decision. Every decision about an email is one Lua script, run whole or not at all.

The scripts lie in `scripts/`; each says in its head what it keeps true. Instants are milliseconds since 1970 UTC, by the clock of Redis
unless a clock is given.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from redis import Redis
from redis.exceptions import ResponseError

from shared.core.errors import LedgerTooNew
from shared.domain.enrollments import Contact, Enrollment, Step
from shared.ledger import ids
from shared.ledger.answers import Claimed, Item, Leave, Peek, Refused, Settled
from shared.ledger.durability import Durability
from shared.ledger.script_sources import sources

VERSION = 1  # the newest ledger that this release reads, and the one that it makes; CONTRIBUTING says when it rises
TOO_NEW = "EGVERSION "  # how base.lua refuses
WINDOW = 23 * 3_600_000
KEEP_FINISHED = 90 * 86_400_000
BATCH = 100
AHEAD = 30  # milliseconds before its turn at which a request is frozen: with a hundred emails, that takes about ten


def _instant(text: Any) -> int | None:
    return int(text) if text not in (None, "") else None


def too_new(version: str | None) -> bool:
    """Whether this program must leave a ledger alone; base.lua judges so before each script.

    Args:
        version: its mark, or None.
    """
    return version is not None and (not version.isdecimal() or not 1 <= int(version) <= VERSION)


def _refuse_too_new(version: str | None) -> None:
    if version is not None and too_new(version):
        raise LedgerTooNew(version, VERSION)


def _flat(values: Sequence[str]) -> dict[str, str]:
    return dict(zip(values[::2], values[1::2], strict=True))


class Ledger:
    """The decisions, one method each.

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
            "VERSION": VERSION,
        }
        self._scripts = {name: redis.register_script(source) for name, source in sources(constants).items()}

    def decide(self, script: str, arguments: Mapping[str, Any] | int, *texts: str) -> Any:
        """Run one script, named after its file; its arguments and answer stand in its head. What is None is left out.

        Args:
            script: its name.
            arguments: what becomes JSON.
            texts: what it need not look into, such as a request of a megabyte.

        Raises:
            LedgerTooNew: when a newer release has the ledger; nothing was read or written then.
        """
        known = {key: value for key, value in arguments.items() if value is not None} if isinstance(arguments, Mapping) else arguments
        try:
            return self._scripts[script](args=[self._clock() if self._clock else "", json.dumps(known), *texts])
        except ResponseError as error:
            if str(error).startswith(TOO_NEW):
                raise LedgerTooNew(str(error).removeprefix(TOO_NEW), VERSION) from None
            raise

    def now(self) -> int:
        """The time that counts."""
        if self._clock:
            return self._clock()
        seconds, microseconds = self.redis.time()
        return int(seconds) * 1000 + int(microseconds) // 1000

    def version(self) -> int:
        """The ledger's version; without a mark, the one that it counts as. Raises LedgerTooNew."""
        return int(self.decide("version", {}))

    def check_version(self) -> None:
        """Raise LedgerTooNew where a newer release has the ledger: before it is read, or written, without a script."""
        _refuse_too_new(cast(str | None, self.redis.get(ids.VERSION)))

    def enroll(self, order: Mapping[str, Any]) -> tuple[str, str]:
        """Enroll or track a contact; the order's form stands in enroll.lua.

        Returns:
            `enrolled`, `exists`, `blocked`, `tracked` with the enrollment's id (or nothing), `duplicate` with the first answer,
            or `limited` with the milliseconds to wait.
        """
        what, which = self.decide("enroll", order)
        return what, str(which)

    def release(self, limit: int = 500) -> tuple[int, int, int | None]:
        """Put what is due on the queue; returns how many, how many needed no wake-up, and the milliseconds until the next is due."""
        released, dropped, following = self.decide("release", limit)
        return released, dropped, _instant(following)

    def release_all(self) -> int:
        """Put everything that is due on the queue; returns how many wake-ups that were."""
        total = 0
        while True:
            released, dropped, _ = self.release()
            total += released
            if not released + dropped:
                return total

    def sweep(self, suspects: Iterable[str], *, grace: float = 5, limit: int = 500, queue_short: int = 100) -> tuple[set[str], int]:
        """Look again at steps that are overdue for the second time.

        Args:
            suspects: the overdue email ids that the last pass returned.
            grace: seconds a wake-up may be late.
            limit: how many steps to look at, at most.
            queue_short: jobs on the queue from which nothing is swept: what waits there is not lost.

        Returns:
            The email ids that are overdue now, and how many were woken.
        """
        asked = {"grace": round(grace * 1000), "suspects": list(suspects), "limit": limit, "queue_short": queue_short}
        overdue, woken = self.decide("sweep", asked)
        return set(overdue), woken

    def audit(self, enrollments: Iterable[str], *, repair: bool = False) -> list[str]:
        """Find open steps that are on no list, so that nothing would ever look at them.

        Args:
            enrollments: whose.
            repair: give each its wake-up back, and have the owner told; else nothing is changed.

        Returns:
            Their email ids.
        """
        return list(self.decide("audit", {"enrollments": list(enrollments), "repair": repair or None}))

    def audit_slice(self, cursor: int = 0, *, size: int = 1000, repair: bool = False) -> tuple[int, list[str]]:
        """Audit the enrollments among some keys of Redis: the keys themselves, and no list, say which there are.

        Args:
            cursor: 0, or where the last slice ended.
            size: how many keys to look through, more or less.
            repair: as for audit.

        Returns:
            Where the next slice begins, 0 at the end; and the email ids found.
        """
        prefix = ids.enrollment_key("")
        following, keys = cast(tuple[int, list[str]], self.redis.scan(cursor, match=f"{prefix}*", count=size))
        return following, self.audit([key.removeprefix(prefix) for key in keys], repair=repair) if keys else []

    def audit_all(self, *, repair: bool = False) -> list[str]:
        """Audit every enrollment, slice by slice, so that nothing waits for it; returns the email ids found."""
        following, found = self.audit_slice(repair=repair)
        while following:
            following, more = self.audit_slice(following, repair=repair)
            found += more
        return list(dict.fromkeys(found))  # a slice may come to an enrollment again

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
            date: the provider's time, in milliseconds since 1970 UTC, where it was asked because the last answer was `unheard`; 0: it did
                not say.
        """
        answer = self.decide(
            "claim",
            {
                "enrollment": enrollment,
                "step": step,
                "token": token,
                "late": dict(late),
                "ignore_late": ignore_late,
                "fenced": fenced or None,
                "rate": rate,
                "longest_wait": round(longest_wait * 1000),
                "batch": BATCH - 1 if self._durability.holds() else 0,
                "batch_above": batch_above,
                "account": account,
                "date": date,
            },
        )
        if answer[0] != "claimed":
            return Refused(answer[0], _instant(answer[1]), answer[2])
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
        answer = self.decide("post", asked, body)
        return Leave(int(answer[0]), int(answer[1]), bool(answer[2]), frozenset(answer[3])) if answer else None

    def settle(self, members: Sequence[str], outcome: str, *, token: str, **details: Any) -> list[Settled]:
        """Write down how a request ended; the outcomes and details stand in settle.lua."""
        given = {"retry_after": 0, "delays": [0], "patience": 0} | details
        answer = self.decide("settle", {"members": list(members), "outcome": outcome, "token": token} | given)
        return [Settled(id, state, _instant(following), int(attempts), why) for id, state, following, attempts, why in answer]

    def move(self, enrollment: str, *, from_anchor: int, to_anchor: int, dues: Mapping[int, int]) -> bool:
        """Move an enrollment's anchor and its untried steps; does nothing when the anchor is no longer `from_anchor`."""
        asked = {"enrollment": enrollment, "from": from_anchor, "to": to_anchor, "dues": {str(step): due for step, due in dues.items()}}
        return bool(self.decide("move", asked))

    def skip(self, enrollment: str, step: int, why: str, *, ended: bool = False) -> str:
        """Leave a step out, where nothing of it has left; `ended`: also one that failed or is in doubt. Returns its state afterwards."""
        return str(self.decide("skip", {"enrollment": enrollment, "step": step, "why": why, "ended": ended or None}))

    def postpone(self, enrollment: str, step: int, wait: float) -> int | None:
        """Look at a waiting step again in `wait` seconds; returns the instant, or None when it needs none."""
        return _instant(self.decide("postpone", {"enrollment": enrollment, "step": step, "wait": round(wait * 1000)}))

    def stop_sending(self, reason: str) -> None:
        """Close the gate until `start_sending`: behind it nothing is claimed, and nothing passes its last look."""
        self.decide("gate", {"reason": reason})

    def start_sending(self) -> None:
        """Open the gate, whatever closed it."""
        self.decide("gate", {})

    def suppress(self, contact: str, reason: str) -> int:
        """Stop email to a contact, for `bounced`, `complained`, `unsubscribed` or `manual`; returns how many enrollments that ended."""
        return int(self.decide("suppress", {"contact": contact, "reason": reason}))

    def peek(self, enrollment: str, step: int) -> Peek:
        """The little that a worker must know of a step; raises LedgerTooNew."""
        names = [f"{step}.state", f"{step}.next", f"{step}.why", "request_id"]
        pipe = self.redis.pipeline(transaction=False)
        pipe.get(ids.VERSION)
        pipe.hmget(ids.enrollment_key(enrollment), names)
        pipe.time()
        version, (state, following, why, request_id), (seconds, microseconds) = pipe.execute()
        _refuse_too_new(version)
        now = self._clock() if self._clock else int(seconds) * 1000 + int(microseconds) // 1000
        return Peek(state, _instant(following), why, request_id, now)

    def _hash(self, key: str) -> dict[str, str]:
        return cast(dict[str, str], self.redis.hgetall(key))  # the client decodes, which its types cannot say

    def enrollment(self, enrollment: str) -> Enrollment | None:
        """An enrollment with its steps, in the order in which they go out."""
        fields = self._hash(ids.enrollment_key(enrollment))
        if not fields:
            return None
        steps = tuple(_step(int(number), fields) for number in fields["steps"].split(",") if number)
        return Enrollment(
            id=enrollment,
            slug=fields["slug"],
            kind=fields["kind"],
            state=fields["state"],
            anchor=int(fields["anchor"]),
            contact=fields["contact"],
            why=fields.get("why"),
            request_id=fields.get("request_id", ""),
            paused_at=_instant(fields.get("paused_at")),
            steps=steps,
        )

    def knows(self, enrollment: str) -> bool:
        """Whether there is such an enrollment, and this ledger knows its row: one that began again since a loss has none."""
        return bool(self.redis.hexists(ids.enrollment_key(enrollment), "page"))

    def contact(self, contact: str) -> Contact | None:
        """What is known of a person."""
        fields = self._hash(ids.contact_key(contact))
        return Contact(fields) if fields else None


def _step(number: int, fields: Mapping[str, str]) -> Step:
    def value(name: str) -> str | None:
        return fields.get(f"{number}.{name}")

    return Step(
        number=number,
        state=fields[f"{number}.state"],
        due=int(fields[f"{number}.due"]),
        offset=int(fields[f"{number}.offset"]),
        next=_instant(value("next")),
        attempts=int(value("attempts") or 0),
        posted=_instant(value("posted")),
        ambiguous=value("ambiguous") == "1",
        frozen=value("frozen"),
        sent_at=_instant(value("sent")),
        sent_by=value("by"),
        provider_id=value("id"),
        why=value("why"),
        delivered=_instant(value("delivered")),
        opened=_instant(value("opened")),
        clicked=_instant(value("clicked")),
        bounced=_instant(value("bounced")),
        complained=_instant(value("complained")),
        note=value("note"),
        anew=value("anew") == "1",
    )
