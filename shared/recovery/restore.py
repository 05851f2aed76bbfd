"""Restoring: a lost ledger is rebuilt from Notion's rows, and nothing is sent twice.

The fence has held back all email since the loss, so an enrollment that started again has sent nothing: it gives way to
the lost one.

Notion records an email within seconds, but after it was sent. So a due email without a mark is looked up in Resend's
list by recipient, subject and time, as the list has no tags. If that does not settle it, the step is in doubt and waits
for a person.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from shared.core.settings import Settings
from shared.domain import timing
from shared.domain.catalog import Catalog
from shared.domain.states import EnrollmentState, StepState
from shared.emails.subjects import Subjects
from shared.integrations.notion import Notion
from shared.ledger import ids
from shared.ledger.answers import Became
from shared.ledger.client import Ledger
from shared.ledger.fence_state import FenceState
from shared.ledger.orders import Foreseen, Restore, RestoredEnrollment
from shared.recovery import sent_list
from shared.recovery.fence import UNKNOWN
from shared.recovery.notion_rows import FINISHED, EnrollmentRow, NotRestored, Reader, Rows
from shared.recovery.sent_list import Follow, Lister, SentList, unseen
from shared.recovery.step_outcomes import EARLY, Draft, draft, settle

LOOK_BACK = timing.DAY  # emails sent early, just before the loss, are searched within this
_NOT_OPEN = {
    "blocked": "the person is in another campaign of the same group",
    "suppressed": "the person is suppressed (Subscription)",
}
_IN_ITS_PLACE = {
    "restored": "replaces it",
    "ended": "was there first, and has ended",
    "marked": "was there first, and is over",
    "blocked": "was there first, and gives way to another campaign of the same group",
    "suppressed": "was there first, and the person gets no email",
}


@dataclass
class Report:
    """The result of a restore, or of a dry run.

    Attributes:
        dry: whether nothing was written.
        runs: how many enrollments were `restored` (they continue), `ended` (open in Notion, but ended since the loss),
            `marked` (over; never again), `tracked`, already there (`exists`), `blocked` or `suppressed`; of those that
            started since the loss, how many were `numbered` again or `thrown` away.
        steps: how many steps of restored runs are sent, scheduled, in-doubt, failed or skipped.
        contacts: how many people.
        duplicates: rows that were united with another.
        in_doubt: the emails that a person must check.
        paused: the enrollments that come back paused.
        ended: the enrollments that come back ended, and why.
        numbered: the enrollments with a new number, by their new ids.
        thrown: the enrollments that started since the loss and are discarded.
        left: the rows that are not restored.
        notes: what the owner should know about an enrollment.
        list_from: the instant back to which Resend's list could be read, in milliseconds since 1970 UTC; None if it
            could not.
    """

    dry: bool
    runs: Counter[str] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)
    contacts: int = 0
    duplicates: int = 0
    in_doubt: list[NotRestored] = field(default_factory=list)
    paused: list[NotRestored] = field(default_factory=list)
    ended: list[NotRestored] = field(default_factory=list)
    numbered: list[NotRestored] = field(default_factory=list)
    thrown: list[NotRestored] = field(default_factory=list)
    left: list[NotRestored] = field(default_factory=list)
    notes: list[NotRestored] = field(default_factory=list)
    list_from: int | None = None

    @property
    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        names = ("in_doubt", "paused", "ended", "numbered", "thrown", "left", "notes")
        lists = {name: [asdict(one) for one in getattr(self, name)] for name in names}
        return vars(self) | lists


@dataclass
class Restorer:
    """What restoring needs.

    Attributes:
        ledger: empty, with sign-ups since the loss, or already partly restored.
        catalog: the campaigns.
        settings: name the owner's databases and columns.
        notion: is read.
        subjects: each email's subject.
        lister: lists what was sent; None if unavailable.
        turn: called before each request to it.
        follow: shows the progress.
    """

    ledger: Ledger
    catalog: Catalog
    settings: Settings
    notion: Notion
    subjects: Subjects
    lister: Lister | None
    turn: Callable[[], None] = lambda: None
    follow: Follow = unseen

    def restore(self, *, dry: bool = False) -> Report:
        """Restore what Notion knows. Nothing is sent before the fence is claimed.

        What this ledger has already sent, tried or restored stays. What only started since the loss gives way to what
        was lost.

        Args:
            dry: only report what would be done.

        Raises:
            NotionError: when Notion does not respond; nothing has been written then.
        """
        rows = Reader(self.notion, self.settings, self.catalog, self.follow).read()
        report = Report(dry, contacts=len(rows.people), duplicates=rows.duplicates, left=rows.left)
        orders = self._orders(rows, report)
        lost = self._is_unconfirmed()
        if not dry:
            self.ledger.check_version()
            self._hold()
        gone: dict[
            str, list[str]
        ] = {}  # by contact, for a dry run: which enrollments would be gone, and which groups taken
        held: dict[str, set[str]] = {}
        for order in self.follow(orders, "Looking" if dry else "Restoring"):
            contact, group = order.contact, order.run.group if order.run else None
            foreseen = Foreseen(lost=lost, gone=gone.get(contact, ()), held=group in held.get(contact, ()))
            became = self.ledger.restore(replace(order, dry=foreseen) if dry else order)
            gone.setdefault(contact, []).extend(became.thrown)
            if group and became.what == "restored" and became.state != EnrollmentState.COMPLETED:
                held.setdefault(contact, set()).add(group)
            if order.run:
                _count(order.run, became, report)
        return report

    def _is_unconfirmed(self) -> bool:
        fence = FenceState(self.ledger)
        return fence.read().get("server") != fence.server()

    def _hold(self) -> None:
        """Keep an unconfirmed ledger from sending while it is incomplete."""
        if self._is_unconfirmed():
            FenceState(self.ledger).keep(on="1", why=UNKNOWN)

    def _orders(self, rows: Rows, report: Report) -> list[Restore]:
        """The calls of restore.lua: one for each enrollment, and for each person without one."""
        now = self.ledger.now()
        numbers = _numbers(rows)
        runs = _latest(rows, numbers, report)
        going_on = [run for run in runs if run.status not in FINISHED and run.number == numbers[run.key] > 0]
        drafts = [draft(run, rows, self.settings, now) for run in going_on]
        drafts = sorted(
            (one for one in drafts if any(one.open)), key=lambda one: now if one.anchor is None else one.anchor
        )
        listed = self._listed(drafts, rows, now)
        settle(drafts, rows, listed, self.subjects)
        report.list_from = listed.reach
        orders = [_order(ids.digest(one.run.email), rows, _open(one, now)) for one in drafts]
        begun = {one.run.id for one in drafts}
        orders += [
            _order(ids.digest(run.email), rows, _over(run, numbers[run.key], now))
            for run in runs
            if run.id not in begun
        ]
        with_run = {order.contact for order in orders}
        orders += [_order(contact, rows) for contact in rows.people if contact not in with_run]
        return orders + self._rowless(numbers, {run.key for run in runs})

    def _rowless(self, numbers: dict[str, int], with_row: set[str]) -> list[Restore]:
        """Enrollments known only from the email log: they do not start again."""
        orders = []
        for key in sorted(set(numbers) - with_row):
            slug, _, contact = key.rpartition("-")
            campaign = self.catalog.campaigns.get(slug)
            run = RestoredEnrollment(id=f"{key}-{numbers[key]}", key=key, number=numbers[key], what="finished")
            if campaign:
                run = replace(run, kind=campaign.kind, reentry=campaign.reentry)
            orders.append(Restore(contact=contact, run=run))
        return orders

    def _listed(self, drafts: list[Draft], rows: Rows, now: int) -> SentList:
        if self.lister is None:
            return SentList()
        last_logged = max((log.sent_at for log in rows.logged.values() if log.sent_at and log.provider_id), default=now)
        dues = [step.due - EARLY for one in drafts for step in one.open if one.may_be_sent(step)]
        return sent_list.read(
            self.lister, min([*dues, now - LOOK_BACK, last_logged - EARLY]), now=now, turn=self.turn, follow=self.follow
        )


def _count(run: RestoredEnrollment, became: Became, report: Report) -> None:
    """Add the result for an enrollment to the report."""
    report.runs[became.what] += 1
    if became.what in _NOT_OPEN:
        report.left.append(NotRestored(run.id, _NOT_OPEN[became.what]))
    _count_newcomers(run.id, became, report)
    if became.what == "ended":
        report.ended.append(NotRestored(run.id, f"{became.state} since the loss: {became.why}"))
    if became.what not in ("restored", "ended"):
        return
    for step in run.steps:
        state = StepState.SKIPPED if step.number in became.skipped else step.state or StepState.SCHEDULED
        if state == StepState.IN_DOUBT:
            report.in_doubt.append(NotRestored(ids.email_id(run.id, step.number), step.why or ""))
        if state != StepState.SCHEDULED or became.what == "restored":
            report.steps[state] += 1
    if became.state == EnrollmentState.PAUSED:
        report.paused.append(NotRestored(run.id, run.why or "it was paused since the loss"))
    report.notes += [NotRestored(run.id, note) for note in run.notes]


def _count_newcomers(run: str, became: Became, report: Report) -> None:
    """Add the results for the enrollments that started since the loss."""
    for new in became.thrown:
        report.runs["thrown"] += 1
        report.thrown.append(
            NotRestored(new, f"{'the lost one of that id' if new == run else run} {_IN_ITS_PLACE[became.what]}")
        )
    if became.new_id:
        report.runs["numbered"] += 1
        report.numbered.append(
            NotRestored(became.new_id, f"it started as {became.began_as}, an id that was used before the loss")
        )


def _numbers(rows: Rows) -> dict[str, int]:
    """The highest known number of the enrollments of each key, by row or by email log."""
    numbers: dict[str, int] = {}
    for run in [*rows.runs, *(ids.parse_email_id(email)[0] for email in rows.logged)]:
        key, _, number = run.rpartition("-")
        numbers[key] = max(numbers.get(key, 0), int(number))
    return numbers


def _latest(rows: Rows, numbers: dict[str, int], report: Report) -> list[EnrollmentRow]:
    """The last row of each person and campaign: only it can be open, and only if the log knows no later enrollment."""
    latest: dict[str, EnrollmentRow] = {}
    for run in rows.runs.values():
        if run.key not in latest or run.number > latest[run.key].number:
            latest[run.key] = run
        if 0 < run.number < numbers[run.key] and run.status not in FINISHED:
            report.left.append(NotRestored(run.id, "there is a later run of the same person and campaign"))
    return list(latest.values())


def _order(contact: str, rows: Rows, run: RestoredEnrollment | None = None) -> Restore:
    person = rows.people[contact]
    return Restore(contact=contact, fields=person.fields, page=person.page, reason=person.reason, run=run)


def _over(run: EnrollmentRow, number: int, now: int) -> RestoredEnrollment:
    """An enrollment that is over, or was only tracked."""
    return RestoredEnrollment(
        id=f"{run.key}-{number}",
        key=run.key,
        number=number,
        what="finished" if number else "tracking",
        slug=run.campaign.slug,
        kind=run.campaign.kind,
        reentry=run.campaign.reentry,
        page=run.page,
        anchor=now if run.anchor is None else run.anchor,
    )


def _open(one: Draft, now: int) -> RestoredEnrollment:
    """An enrollment that is not over."""
    run = one.run
    why, segment = _why_paused(one), one.contact.segment
    anchor = now if one.anchor is None else one.anchor
    return replace(
        _over(run, run.number, now),
        what="paused" if why else "active",
        anchor=anchor,
        group=one.group,
        created=min(now, anchor if run.created is None else run.created),
        exits=run.campaign.exit_on,
        paused_at=now if one.anchor is None or run.paused_at is None else run.paused_at,
        ticked=run.ticked,
        steps=one.steps,
        why=why,
        notes=[f"its row says {run.segment}, the scores give {segment}"]
        if run.segment and run.segment != segment
        else [],
    )


def _why_paused(one: Draft) -> str | None:
    if one.anchor is None:
        return "it has neither a mark nor an anchor to continue from"
    if one.run.ticked:
        return "Pause is ticked"
    return "it was paused" if one.run.status == "paused" else None
