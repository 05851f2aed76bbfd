"""Restoring: a lost ledger is rebuilt from Notion's rows, and nothing is sent twice.

The fence has held back all email since the loss, so an enrollment that started again has sent nothing: it gives way to
the lost one.

Notion records an email within seconds, but after it was sent. So a due email without a mark is looked up in Resend's
list by recipient, subject and time, as the list has no tags. If that does not settle it, the step is in doubt and waits
for a person.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain

from shared.core.settings import Settings
from shared.domain import timing
from shared.domain.catalog import Catalog
from shared.domain.states import EnrollmentState
from shared.emails.subjects import Subjects
from shared.integrations.notion import Notion
from shared.ledger.answers import Became
from shared.ledger.client import Ledger
from shared.ledger.fence_state import FenceState
from shared.ledger.restore_orders import Foreseen, Restore
from shared.recovery import restored_enrollments, sent_list
from shared.recovery.drafts import Draft, draft
from shared.recovery.fence import UNKNOWN
from shared.recovery.notion_reader import Reader
from shared.recovery.notion_rows import FINISHED, EnrollmentRow, NotRestored, Rows
from shared.recovery.restore_report import Report
from shared.recovery.sent_list import EARLY, Follow, Lister, SentList, unseen
from shared.recovery.step_outcomes import explain, settle

_BEGUN = "it was queued, and may have begun just before the loss: an email of it may have been sent"
LOOK_BACK = timing.DAY  # emails sent early, just before the loss, are searched within this


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
        now = self.ledger.now()
        runs = restored_enrollments.last_rows(rows)
        going_on = [run for run in runs if run.status not in FINISHED and run.number == rows.numbers[run.key] > 0]
        listed = self._listed((draft(run, rows, self.settings, now) for run in going_on), rows, now)
        explain(rows, listed, self.subjects)
        report.list_from = listed.reach
        drafts = self._drafts(going_on, rows, listed, now)
        orders = restored_enrollments.orders(drafts, runs, rows, catalog=self.catalog, now=now)
        foresight = _Foresight(self._is_unconfirmed())
        if not dry:
            self.ledger.check_version()
            self._hold()
        for order in self.follow(orders, "Looking" if dry else "Restoring"):
            became = self.ledger.restore(replace(order, dry=foresight.of(order)) if dry else order)
            foresight.add(order, became)
            if order.run:
                report.count(order.run, became)
        return report

    def _is_unconfirmed(self) -> bool:
        fence = FenceState(self.ledger)
        return fence.read().get("server") != fence.server()

    def _hold(self) -> None:
        """Keep an unconfirmed ledger from sending while it is incomplete."""
        if self._is_unconfirmed():
            FenceState(self.ledger).keep(on="1", why=UNKNOWN)

    def _listed(self, drafts: Iterable[Draft], rows: Rows, now: int) -> SentList:
        if self.lister is None:
            return SentList()
        since = min(now - LOOK_BACK, (now if rows.last_logged is None else rows.last_logged) - EARLY)
        dues = (step.due - EARLY for one in drafts for step in one.open if one.may_be_sent(step))
        first = min(chain([since], dues))
        return sent_list.read(self.lister, first, now=now, turn=self.turn, follow=self.follow)

    def _drafts(self, runs: Iterable[EnrollmentRow], rows: Rows, listed: SentList, now: int) -> Iterator[Draft]:
        """The enrollments that continue, settled, person by person: a draft takes much more memory than a row."""
        people: dict[str, list[EnrollmentRow]] = {}
        for run in runs:
            people.setdefault(run.email, []).append(run)
        for own in people.values():
            drafts = [one for run in own if any((one := draft(run, rows, self.settings, now)).open)]
            drafts.sort(key=lambda one: (one.run.status == "queued", now if one.anchor is None else one.anchor))
            settle(drafts, listed, self.subjects)
            for one in drafts:
                if one.run.status == "queued" and not one.is_unsent:
                    rows.left.append(NotRestored(one.run.id, _BEGUN))
                else:
                    yield one


@dataclass
class _Foresight:
    """What a dry run keeps in mind, because nothing is written: what would have become of a contact's enrollments.

    Attributes:
        lost: whether the fence would be on.
        gone: by contact, which enrollments would be gone.
        held: by contact, which groups would be taken.
    """

    lost: bool
    gone: dict[str, list[str]] = field(default_factory=dict)
    held: dict[str, set[str]] = field(default_factory=dict)

    def of(self, order: Restore) -> Foreseen:
        """The situation in which an order would be carried out."""
        group = order.run.group if order.run else None
        return Foreseen(
            lost=self.lost, gone=self.gone.get(order.contact, ()), held=group in self.held.get(order.contact, ())
        )

    def add(self, order: Restore, became: Became) -> None:
        """Add what became of an order."""
        self.gone.setdefault(order.contact, []).extend(became.thrown)
        group = order.run.group if order.run else None
        takes_it = became.state in (EnrollmentState.ACTIVE, EnrollmentState.PAUSED)
        if group and became.what == "restored" and takes_it:
            self.held.setdefault(order.contact, set()).add(group)
