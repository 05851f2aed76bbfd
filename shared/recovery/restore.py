"""Restoring: a lost ledger is built anew from Notion's rows, and nothing is sent twice.

The fence held back what came in since the loss, so nothing was sent of an enrollment that began again: it makes way for the lost one.

Notion is told of an email within seconds, but after it was sent. So an email that was due and has no mark is looked up in Resend's list:
by recipient, subject and time, for the list has no tags. Where that does not settle it, the step is in doubt and waits for a person.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from shared.core.settings import Settings
from shared.domain import timing
from shared.domain.catalog import Catalog
from shared.emails.subjects import Subjects
from shared.integrations.notion import Notion
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.ledger.fence_state import FenceState
from shared.recovery import sent_list
from shared.recovery.fence import UNKNOWN
from shared.recovery.notion_rows import FINISHED, EnrollmentRow, NotRestored, Reader, Rows
from shared.recovery.sent_list import Follow, Lister, SentList, unseen
from shared.recovery.step_outcomes import EARLY, Draft, draft, settle

LOOK_BACK = timing.DAY  # what was sent ahead of its time, just before the loss, is looked for within this
_NOT_OPEN = {
    "blocked": "another campaign of the same group runs for the same person",
    "suppressed": "the person gets no email (Subscription)",
}
_IN_ITS_PLACE = {
    "restored": "comes back in its place",
    "ended": "came first, and has ended",
    "marked": "came first, and is over",
    "blocked": "came first, and gives way to another campaign of the same group",
    "suppressed": "came first, and the person gets no email",
}


@dataclass
class Report:
    """What a restore did, or would do.

    Attributes:
        dry: whether nothing was written.
        runs: how many enrollments were `restored` (they go on), `ended` (open in Notion, and ended since the loss), `marked` (over; never
            again), `tracked`, there already (`exists`), `blocked` or `suppressed`; of those that came in since the loss, how many were
            `numbered` again or `thrown` away.
        steps: how many steps of restored runs are sent, scheduled, in-doubt, failed or skipped.
        contacts: how many people.
        duplicates: rows that were united with another.
        in_doubt: the emails that a person must look at.
        paused: the enrollments that come back paused.
        ended: the enrollments that come back ended, and by what.
        numbered: the enrollments that got another number, by their new ids.
        thrown: the enrollments that came in since the loss and are thrown away.
        left: the rows that are not restored.
        notes: what the owner should know of an enrollment.
        list_from: the instant back to which Resend's list could be read, in milliseconds since 1970 UTC; None where it was not.
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
        ledger: an empty one, one that took sign-ups since the loss, or one in which some of it is there already.
        catalog: the campaigns.
        settings: name the owner's databases and columns.
        notion: is read.
        subjects: how each email's subject reads.
        lister: is asked what was sent; None where nobody can be.
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
        """Put back what Notion tells. Nothing is sent before the fence is claimed.

        What this ledger has sent, tried or put back already stays. What only came in since the loss makes way for what was lost.

        Args:
            dry: only say what would be done.

        Raises:
            NotionError: when Notion does not answer; nothing was written then.
        """
        rows = Reader(self.notion, self.settings, self.catalog, self.follow).read()
        report = Report(dry, contacts=len(rows.people), duplicates=rows.duplicates, left=rows.left)
        orders = self._orders(rows, report)
        lost = self._is_unconfirmed()
        if not dry:
            self.ledger.check_version()
            self._hold()
        gone: dict[str, list[str]] = {}  # by contact, for a dry run: what would be there no more, and which groups would be taken
        held: dict[str, set[str]] = {}
        for order in self.follow(orders, "Looking" if dry else "Restoring"):
            contact, group = order["contact"], order.get("group")
            foreseen = {"dry": True, "lost": lost, "gone": gone.get(contact), "held": group in held.get(contact, ()) or None}
            became = _Became(*self.ledger.decide("restore", order | (_filled(foreseen) if dry else {})))
            gone.setdefault(contact, []).extend(became.thrown)
            if group and became.what == "restored" and became.state != "completed":
                held.setdefault(contact, set()).add(group)
            _count(order, became, report)
        return report

    def _is_unconfirmed(self) -> bool:
        fence = FenceState(self.ledger)
        return fence.read().get("server") != fence.server()

    def _hold(self) -> None:
        """Keep a ledger that was not confirmed from sending while it knows only a part."""
        if self._is_unconfirmed():
            FenceState(self.ledger).keep(on="1", why=UNKNOWN)

    def _orders(self, rows: Rows, report: Report) -> list[dict[str, Any]]:
        """What restore.lua is asked: once for each enrollment, and for each person without one."""
        now = self.ledger.now()
        numbers = _numbers(rows)
        runs = _latest(rows, numbers, report)
        going_on = [run for run in runs if run.status not in FINISHED and run.number == numbers[run.key] > 0]
        drafts = [draft(run, rows, self.settings, now) for run in going_on]
        drafts = sorted((one for one in drafts if any(one.open)), key=lambda one: now if one.anchor is None else one.anchor)
        listed = self._listed(drafts, rows, now)
        settle(drafts, rows, listed, self.subjects)
        report.list_from = listed.reach
        orders = [_person(one.run, rows) | _named(one.run, one.run.number) | _open(one, now) for one in drafts]
        begun = {one.run.id for one in drafts}
        orders += [_person(run, rows) | _over(run, numbers[run.key], now) for run in runs if run.id not in begun]
        with_run = {order["contact"] for order in orders}
        orders += [_contact(contact, rows) for contact in rows.people if contact not in with_run]
        return orders + self._rowless(numbers, {run.key for run in runs})

    def _rowless(self, numbers: dict[str, int], with_row: set[str]) -> list[dict[str, Any]]:
        """Enrollments that only the email log knows: they are not begun again."""
        orders = []
        for key in sorted(set(numbers) - with_row):
            slug, _, contact = key.rpartition("-")
            campaign = self.catalog.campaigns.get(slug)
            named = {"run": f"{key}-{numbers[key]}", "key": key, "number": numbers[key], "what": "finished"}
            known = {"kind": campaign.kind, "reentry": campaign.reentry} if campaign else {}
            orders.append({"contact": contact} | named | known)
        return orders

    def _listed(self, drafts: list[Draft], rows: Rows, now: int) -> SentList:
        if self.lister is None:
            return SentList()
        last_logged = max((log.sent_at for log in rows.logged.values() if log.sent_at and log.provider_id), default=now)
        dues = [step["due"] - EARLY for one in drafts for step in one.open if one.may_be_sent(step)]
        return sent_list.read(self.lister, min([*dues, now - LOOK_BACK, last_logged - EARLY]), now=now, turn=self.turn, follow=self.follow)


@dataclass
class _Became:
    """What restore.lua answers."""

    what: str
    state: str
    why: str
    skipped: list[int]
    thrown: list[str]
    began_as: str
    new_id: str


def _count(order: dict[str, Any], became: _Became, report: Report) -> None:
    """Add to the report what became of an order."""
    if became.what == "contact":
        return
    run = order["run"]
    report.runs[became.what] += 1
    if became.what in _NOT_OPEN:
        report.left.append(NotRestored(run, _NOT_OPEN[became.what]))
    _count_newcomers(run, became, report)
    if became.what == "ended":
        report.ended.append(NotRestored(run, f"{became.state} since the loss: {became.why}"))
    if became.what not in ("restored", "ended"):
        return
    for step in order["steps"]:
        state = "skipped" if step["number"] in became.skipped else step["state"]
        if state == "in-doubt":
            report.in_doubt.append(NotRestored(ids.email_id(run, step["number"]), step["why"]))
        if state != "scheduled" or became.what == "restored":
            report.steps[state] += 1
    if became.state == "paused":
        report.paused.append(NotRestored(run, order.get("why") or "it was paused since the loss"))
    report.notes += [NotRestored(run, note) for note in order["notes"]]


def _count_newcomers(run: str, became: _Became, report: Report) -> None:
    """Add what became of the enrollments that came in since the loss."""
    for new in became.thrown:
        report.runs["thrown"] += 1
        report.thrown.append(NotRestored(new, f"{'the lost one of that id' if new == run else run} {_IN_ITS_PLACE[became.what]}"))
    if became.new_id:
        report.runs["numbered"] += 1
        report.numbered.append(NotRestored(became.new_id, f"it began as {became.began_as}, an id that was used before the loss"))


def _numbers(rows: Rows) -> dict[str, int]:
    """The highest number that is known of the enrollments of each key, by a row or by the email log."""
    numbers: dict[str, int] = {}
    for run in [*rows.runs, *(ids.parse_email_id(email)[0] for email in rows.logged)]:
        key, _, number = run.rpartition("-")
        numbers[key] = max(numbers.get(key, 0), int(number))
    return numbers


def _latest(rows: Rows, numbers: dict[str, int], report: Report) -> list[EnrollmentRow]:
    """The last row of each person and campaign: it alone can be open, and only where the log knows no later enrollment."""
    latest: dict[str, EnrollmentRow] = {}
    for run in rows.runs.values():
        if run.key not in latest or run.number > latest[run.key].number:
            latest[run.key] = run
        if 0 < run.number < numbers[run.key] and run.status not in FINISHED:
            report.left.append(NotRestored(run.id, "there is a later run of the same person and campaign"))
    return list(latest.values())


def _contact(contact: str, rows: Rows) -> dict[str, Any]:
    person = rows.people[contact]
    return _filled({"contact": contact, "fields": person.fields, "page": person.page, "reason": person.reason})


def _person(run: EnrollmentRow, rows: Rows) -> dict[str, Any]:
    return _contact(ids.digest(run.email), rows)


def _named(run: EnrollmentRow, number: int) -> dict[str, Any]:
    """The part of an order that says which enrollment it is about."""
    return {
        "run": f"{run.key}-{number}",
        "key": run.key,
        "number": number,
        "slug": run.campaign.slug,
        "kind": run.campaign.kind,
        "reentry": run.campaign.reentry,
        "page_of_run": run.page,
    }


def _over(run: EnrollmentRow, number: int, now: int) -> dict[str, Any]:
    """An order of an enrollment that is over, or was only tracked."""
    return _named(run, number) | {"what": "finished" if number else "tracking", "anchor": now if run.anchor is None else run.anchor}


def _open(one: Draft, now: int) -> dict[str, Any]:
    """The part of an order that brings back an enrollment that is not over."""
    run, anchor = one.run, now if one.anchor is None else one.anchor
    why = (
        "neither a mark nor an anchor says where it stands"
        if one.anchor is None
        else "Pause is ticked"
        if run.ticked
        else "it was paused"
        if run.status == "paused"
        else None
    )
    segment = one.contact.segment
    notes = [f"its row says {run.segment}, the scores give {segment}"] if run.segment and run.segment != segment else []
    return _filled(
        {
            "what": "paused" if why else "active",
            "why": why,
            "group": one.group,
            "anchor": anchor,
            "created": min(now, anchor if run.created is None else run.created),
            "exits": run.campaign.exit_on,
            "paused_at": now if one.anchor is None or run.paused_at is None else run.paused_at,
            "ticked": run.ticked or None,
            "steps": one.steps,
            "notes": notes,
        }
    )


def _filled(order: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in order.items() if value is not None}
