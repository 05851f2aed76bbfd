"""The judge: what was promised, by the diary, against what the provider took.

The ledger is asked only why something did not go out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.chaos.diary import Accepted, Entry
from shared.domain.enrollments import Enrollment
from shared.ledger import ids

Find = Callable[[str], Enrollment | None]
TOO_LATE = (
    "booking-reminder"  # the one campaign that leaves out what is too late: half an hour, in TESTING_MODE half a minute
)
OPEN = ("scheduled", "sending")


@dataclass
class Run:
    """What is known about one enrollment. Instants are milliseconds since 1970 UTC.

    Attributes:
        steps: what is due to the customer while nothing ends the run.
        ended: when its end was acknowledged, if so.
        held: the pauses: from their acknowledgement until the resumption was asked for.
    """

    steps: tuple[int, ...]
    ended: int | None = None
    held: list[tuple[int, float]] = field(default_factory=list)


@dataclass
class Verdict:
    """The outcome; anything in `problems` breaks the promise.

    Attributes:
        expected: emails due in runs that nothing ended.
        accepted: emails that the provider took, all of them.
        before_an_end: of these, those of runs that ended later.
        on_the_wire: milliseconds from the acknowledgement of an end or a pause to emails that had passed their last
            look before it.
        in_doubt: what cannot be known, with its reason.
        too_late: reminders that were left out, as their campaign wants it.
        pending: emails that are still to come.
        lateness: milliseconds from each due to its acceptance, sorted.
        batched: how many came in a batch.
    """

    expected: int = 0
    accepted: int = 0
    before_an_end: int = 0
    on_the_wire: list[int] = field(default_factory=list)
    batched: int = 0
    in_doubt: list[str] = field(default_factory=list)
    too_late: list[str] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)
    lateness: list[int] = field(default_factory=list)
    problems: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def runs_of(entries: Iterable[Entry]) -> dict[str, Run]:
    """The enrollments that a diary knows."""
    runs: dict[str, Run] = {}
    for entry in entries:
        if entry.what == "enrolled":
            runs[entry.enrollment] = Run(entry.steps)
            continue
        run = runs[entry.enrollment]
        if entry.what == "ended":
            run.ended = min(entry.at, run.ended or entry.at)
        elif entry.what == "paused":
            run.held.append((entry.at, float("inf")))
        else:
            run.held[-1] = run.held[-1][0], entry.asked
    return runs


def judge(entries: Sequence[Entry], emails: Sequence[Accepted], find: Find, wire: float) -> Verdict:
    """Compare promise and result.

    Args:
        entries: what was acknowledged, in that order.
        emails: what the provider took, in that order.
        find: an enrollment as the ledger knows it.
        wire: seconds for which a request that had passed its last look may be on its way.
    """
    verdict, runs = Verdict(accepted=len(emails)), runs_of(entries)
    known = {run: find(run) for run in runs}
    by_run: dict[str, list[tuple[int, Accepted]]] = defaultdict(list)
    for email in emails:
        run, step = ids.parse_email_id(email.id)
        by_run[run].append((step, email))
        if run not in runs or step not in runs[run].steps:
            verdict.problems["not asked for"].append(email.id)
    verdict.batched = sum(email.key != email.id for email in emails)
    verdict.problems["twice"] += [id for id, count in Counter(email.id for email in emails).items() if count > 1]
    for name, run_ in runs.items():
        took = by_run[name]
        _order(verdict, name, [step for step, _ in took])
        _after(verdict, run_, [email for _, email in took], wire * 1000)
        _timely(verdict, known[name], took)
        _complete(verdict, name, run_, known[name], {step for step, _ in took})
    verdict.lateness.sort()
    return verdict


def _order(verdict: Verdict, name: str, steps: list[int]) -> None:
    firsts = list(dict.fromkeys(steps))  # a second copy is another fault
    if firsts != sorted(firsts):
        verdict.problems["out of order"].append(f"{name}: {firsts}")


def _after(verdict: Verdict, run: Run, emails: list[Accepted], wire: float) -> None:
    """Nothing leaves once an end or a pause is acknowledged."""
    spans = [*run.held, *([(run.ended, float("inf"))] if run.ended else [])]
    for email in emails:
        for begin, end in spans:
            if begin < email.at < end and email.at - begin <= wire:
                verdict.on_the_wire.append(email.at - begin)
            elif begin < email.at < end:
                verdict.problems["after an end or in a pause"].append(
                    f"{email.id}: {(email.at - begin) / 1000:.1f} s after it"
                )


def _timely(verdict: Verdict, known: Enrollment | None, took: list[tuple[int, Accepted]]) -> None:
    dues = {step.number: step.due for step in known.steps} if known else {}
    for step, email in took:
        if step in dues:
            verdict.lateness.append(email.at - dues[step])
            if email.at < dues[step]:
                verdict.problems["early"].append(f"{email.id}: {dues[step] - email.at} ms")


def _complete(verdict: Verdict, name: str, run: Run, known: Enrollment | None, took: set[int]) -> None:
    """Each email of a run that nothing ended has gone out, or is visibly in doubt."""
    if known is None:
        verdict.problems["forgotten run"].append(name)
        return
    doubtful = [step for step in known.steps if step.state == "in-doubt"]
    for step in doubtful:
        there = "accepted" if step.number in took else "not accepted"
        verdict.in_doubt.append(f"{ids.email_id(name, step.number)} ({there}): {step.why}")
        if step.posted is None:
            verdict.problems["in doubt without a post"].append(ids.email_id(name, step.number))
    if run.ended is not None:
        verdict.before_an_end += len(took)
        return
    verdict.expected += len(run.steps)
    for number in sorted(set(run.steps) - took):
        step = known.step(number)
        told = (
            f"{ids.email_id(name, number)}: run {known.state}, step {step.state}{': ' + step.why if step.why else ''}"
        )
        if step in doubtful:
            continue
        if step.state == "skipped" and known.slug == TOO_LATE and "late" in (step.why or ""):
            verdict.too_late.append(told)
        elif step.state in OPEN and known.state == "active":
            verdict.pending.append(told)
        else:
            verdict.problems["lost"].append(told)


def judge_notion(
    rows: Mapping[str, list[dict[str, Any]]], emails: Sequence[Accepted], find: Find, runs: Iterable[str]
) -> dict[str, list[str]]:
    """What is missing in Notion's databases, or is there twice.

    Args:
        rows: the databases' rows, each as its columns' plain values.
        emails: what the provider took.
        find: an enrollment as the ledger knows it.
        runs: the enrollments of the diary.
    """
    tracker = Counter(row["Enrollment ID"] for row in rows["Email Sequence"])
    log = Counter(row["Email ID"] for row in rows["Email Log"])
    contacts = Counter(row["Email"] for row in rows["Contacts"])
    found = {
        "rows twice": [str(name) for names in (tracker, log, contacts) for name, count in names.items() if count > 1],
        "rows missing": [name for name in runs if name not in tracker],
    }
    found["rows missing"] += [email.id for email in emails if email.id not in log]
    found["rows missing"] += sorted({email.to for email in emails} - contacts.keys())
    by_run = {row["Enrollment ID"]: row for row in rows["Email Sequence"]}
    for run in runs:
        known, row = find(run), by_run.get(run, {})
        if known and row:
            sent = [step.number for step in known.steps if step.state == "sent" and step.sent_by != "website"]
            found["rows missing"] += [
                f"{run}: Email {number} Sent" for number in sent if not row.get(f"Email {number} Sent")
            ]
    return found
