"""Which enrollments of Notion's rows are restored, and as what: the orders of restore.lua."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from shared.domain.catalog import Catalog
from shared.ledger import ids
from shared.ledger.restore_orders import Restore, RestoredEnrollment
from shared.recovery.drafts import Draft
from shared.recovery.notion_rows import FINISHED, EnrollmentRow, NotRestored, Rows


def last_rows(rows: Rows) -> list[EnrollmentRow]:
    """The last row of each person and campaign: only it can be open, and only if the log knows no later enrollment.

    Args:
        rows: everything that Notion knows; `left` gets the open rows that have a later one.
    """
    latest: dict[str, EnrollmentRow] = {}
    for run in rows.runs.values():
        if run.key not in latest or run.number > latest[run.key].number:
            latest[run.key] = run
        if 0 < run.number < rows.numbers[run.key] and run.status not in FINISHED:
            rows.left.append(NotRestored(run.id, "there is a later enrollment of the same person and campaign"))
    return list(latest.values())


def orders(
    drafts: Iterable[Draft], runs: Sequence[EnrollmentRow], rows: Rows, *, catalog: Catalog, now: int
) -> Iterator[Restore]:
    """The calls of restore.lua: one for each enrollment, and for each person without one.

    Args:
        drafts: the enrollments that are open; those of a person in the order in which they take a place in their group.
        runs: the last row of each person and campaign.
        rows: everything that Notion knows.
        catalog: the campaigns.
        now: the time, in milliseconds since 1970 UTC.
    """
    begun = set()
    for one in drafts:
        begun.add(one.run.id)
        yield _order(ids.digest(one.run.email), rows, _open(one, rows, now))
    with_run = {ids.digest(run.email) for run in runs}
    for run in runs:
        if run.id not in begun:
            yield _order(ids.digest(run.email), rows, _over(run, rows.numbers[run.key], now))
    yield from (_order(contact, rows) for contact in rows.people if contact not in with_run)
    yield from _rowless(rows.numbers, {run.key for run in runs}, catalog)


def _order(contact: str, rows: Rows, run: RestoredEnrollment | None = None) -> Restore:
    person = rows.people[contact]
    return Restore(contact=contact, fields=person.fields, page=person.page, reason=person.reason, run=run)


def _rowless(numbers: Mapping[str, int], with_row: set[str], catalog: Catalog) -> Iterator[Restore]:
    """Enrollments known only from the email log: they do not start again."""
    for key in sorted(set(numbers) - with_row):
        slug, _, contact = key.rpartition("-")
        campaign = catalog.campaigns.get(slug)
        run = RestoredEnrollment(id=f"{key}-{numbers[key]}", key=key, number=numbers[key], what="finished")
        if campaign:
            run = replace(run, kind=campaign.kind, reentry=campaign.reentry)
        yield Restore(contact=contact, run=run)


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


def _open(one: Draft, rows: Rows, now: int) -> RestoredEnrollment:
    """An enrollment that is not over."""
    run = one.run
    why, segment = _why_paused(one, rows), one.contact.segment
    anchor = now if one.anchor is None else one.anchor
    return replace(
        _over(run, run.number, now),
        what="queued" if run.status == "queued" and not rows.unwritten else "paused" if why else "active",
        anchor=anchor,
        group=one.group,
        created=min(now, anchor if run.created is None else run.created),
        exits=run.campaign.exit_on,
        paused_at=now if one.anchor is None or run.paused_at is None else run.paused_at,
        queued_until=anchor + round((run.campaign.queue_for or 0) * 1000),
        ticked=run.ticked,
        steps=one.steps,
        why=why,
        notes=[f"its row says {run.segment}, the scores give {segment}"]
        if run.segment and run.segment != segment
        else [],
    )


def _why_paused(one: Draft, rows: Rows) -> str | None:
    if rows.unwritten:
        return f"it may have been stopped: {rows.unwritten} has no option for that"
    if one.anchor is None:
        return "it has neither a mark nor an anchor to continue from"
    if one.run.ticked:
        return "Pause is ticked"
    return "it was paused" if one.run.status == "paused" else None
