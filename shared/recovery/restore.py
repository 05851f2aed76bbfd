"""Restoring: a lost ledger is built anew from Notion's rows, and nothing is sent twice.

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
_REASONS = {
    "blocked": "another campaign of the same group runs for the same person",
    "suppressed": "the person gets no email (Subscription)",
}


@dataclass
class Report:
    """What a restore did, or would do.

    Attributes:
        dry: whether nothing was written.
        runs: how many enrollments were `restored`, `marked` (over; never again), `tracked`, there already (`exists`), `united` with one
            that had begun again, `blocked` or `suppressed`.
        steps: how many steps of restored runs are sent, scheduled, in-doubt, failed or skipped.
        contacts: how many people.
        duplicates: rows that were united with another.
        in_doubt: the emails that a person must look at.
        paused: the enrollments that come back paused.
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
    left: list[NotRestored] = field(default_factory=list)
    notes: list[NotRestored] = field(default_factory=list)
    list_from: int | None = None

    @property
    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        lists = {name: [asdict(one) for one in getattr(self, name)] for name in ("in_doubt", "paused", "left", "notes")}
        return vars(self) | lists


@dataclass
class Restorer:
    """What restoring needs.

    Attributes:
        ledger: an empty one, or one in which some of it is there already.
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
        """Put back what Notion tells; what is in the ledger already stays. Nothing is sent before the fence is claimed.

        Args:
            dry: only say what would be done.

        Raises:
            NotionError: when Notion does not answer; nothing was written then.
        """
        rows = Reader(self.notion, self.settings, self.catalog, self.follow).read()
        report = Report(dry, contacts=len(rows.people), duplicates=rows.duplicates, left=rows.left)
        orders = self._orders(rows, report)
        if not dry:
            self.ledger.check_version()
            self._hold()
        for order in self.follow(orders, "Looking" if dry else "Restoring"):
            what = self.ledger.decide("restore", order | ({"dry": True} if dry else {}))
            self._count(order, what, report)
        return report

    def _hold(self) -> None:
        """Keep a ledger that was not confirmed from sending while it knows only a part."""
        fence = FenceState(self.ledger)
        if fence.read().get("server") != fence.server():
            fence.keep(on="1", why=UNKNOWN)

    def _count(self, order: dict[str, Any], what: str, report: Report) -> None:
        if what == "contact":
            return
        report.runs[what] += 1
        if what in _REASONS:
            report.left.append(NotRestored(order["run"], _REASONS[what]))
        if what != "restored":
            return
        for step in order["steps"]:
            report.steps[step["state"]] += 1
            if step["state"] == "in-doubt":
                report.in_doubt.append(NotRestored(ids.email_id(order["run"], step["number"]), step["why"]))
        if order["what"] == "paused":
            report.paused.append(NotRestored(order["run"], order["why"]))
        report.notes += [NotRestored(order["run"], note) for note in order["notes"]]

    def _orders(self, rows: Rows, report: Report) -> list[dict[str, Any]]:
        """What restore.lua is asked: once for each enrollment, and for each person without one."""
        now = self.ledger.now()
        runs = _latest(rows, report)
        drafts = [draft(run, rows, self.settings, now) for run in runs if run.status not in FINISHED and run.number]
        drafts = sorted((one for one in drafts if any(one.open)), key=lambda one: now if one.anchor is None else one.anchor)
        listed = self._listed(drafts, rows, now)
        settle(drafts, rows, listed, self.subjects)
        report.list_from = listed.reach
        over = [run for run in runs if run.id not in {one.run.id for one in drafts}]
        orders = [_person(run, rows) | _bare(run, now) for run in over]
        held: set[tuple[str, str | None]] = set()
        for one in drafts:
            place = (one.run.email, one.group)
            blocked = one.group is not None and place in held
            held.add(place)
            if blocked:
                report.left.append(NotRestored(one.run.id, _REASONS["blocked"]))
            orders.append(_person(one.run, rows) | _bare(one.run, now) | ({} if blocked else _open(one, now)))
        with_run = {order["contact"] for order in orders}
        orders += [_contact(contact, rows) for contact in rows.people if contact not in with_run]
        return orders + _rowless(rows, runs)

    def _listed(self, drafts: list[Draft], rows: Rows, now: int) -> SentList:
        if self.lister is None:
            return SentList()
        last_logged = max((log.sent_at for log in rows.logged.values() if log.sent_at and log.provider_id), default=now)
        dues = [step["due"] - EARLY for one in drafts for step in one.open if one.may_be_sent(step)]
        return sent_list.read(self.lister, min([*dues, now - LOOK_BACK, last_logged - EARLY]), now=now, turn=self.turn, follow=self.follow)


def _latest(rows: Rows, report: Report) -> list[EnrollmentRow]:
    """The last enrollment of each person and campaign: it alone can be open."""
    latest: dict[str, EnrollmentRow] = {}
    for run in rows.runs.values():
        other = latest.get(run.key)
        if other is None or run.number > other.number:
            latest[run.key], run = run, other or run
        if run is not latest[run.key] and run.number and run.status not in FINISHED:
            report.left.append(NotRestored(run.id, "there is a later run of the same person and campaign"))
    return list(latest.values())


def _contact(contact: str, rows: Rows) -> dict[str, Any]:
    person = rows.people[contact]
    return _filled({"contact": contact, "fields": person.fields, "page": person.page, "reason": person.reason})


def _person(run: EnrollmentRow, rows: Rows) -> dict[str, Any]:
    return _contact(ids.digest(run.email), rows)


def _bare(run: EnrollmentRow, now: int) -> dict[str, Any]:
    """The part of an order that every enrollment has; alone, it only says that there was one."""
    return {
        "run": run.id,
        "key": run.key,
        "number": run.number,
        "slug": run.campaign.slug,
        "kind": run.campaign.kind,
        "what": "finished" if run.number else "tracking",
        "anchor": now if run.anchor is None else run.anchor,
        "page_of_run": run.page,
        "steps": [{"number": number, "state": "sent", "sent": at, "by": "evergreen"} for number, at in run.marks.items()],
    }


def _open(one: Draft, now: int) -> dict[str, Any]:
    """The part of an order that brings back an enrollment that is not over."""
    run = one.run
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
            "anchor": now if one.anchor is None else one.anchor,
            "paused_at": now if one.anchor is None or run.paused_at is None else run.paused_at,
            "ticked": run.ticked or None,
            "steps": one.steps,
            "notes": notes,
        }
    )


def _rowless(rows: Rows, runs: list[EnrollmentRow]) -> list[dict[str, Any]]:
    """Enrollments that only the email log knows: they are not begun again."""
    known = {run.key: run.number for run in runs}
    found = {ids.parse_email_id(email)[0] for email in rows.logged}
    keys = {run: run.rpartition("-")[0] for run in found}
    numbers = {run: int(run.rpartition("-")[2]) for run in found}
    return [
        {"contact": keys[run].rpartition("-")[2], "run": run, "key": keys[run], "number": numbers[run], "what": "finished"}
        for run in sorted(found)
        if numbers[run] > known.get(keys[run], 0) and numbers[run] == rows.last_logged_run(keys[run])
    ]


def _filled(order: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in order.items() if value is not None}
