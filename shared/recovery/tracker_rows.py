"""Reads a row of Notion's tracker: which enrollment it is and where that stands, or why it cannot be restored."""

from __future__ import annotations

import re

from shared.domain.addresses import canonical
from shared.domain.catalog import Campaign, Catalog
from shared.domain.segments import SEGMENTS
from shared.ledger import ids
from shared.notion.cells import Cells
from shared.notion.schema import NUMBERED
from shared.recovery.notion_rows import FINISHED, EnrollmentRow, NotRestored, Person, Rows


def read(cells: Cells, catalog: Catalog, rows: Rows) -> EnrollmentRow | None:
    """The enrollment of a row, without an id if the row has none that fits; None if it cannot be restored.

    Args:
        cells: the row.
        catalog: the campaigns.
        rows: gets what the row says of the contact, or why it is not restored.
    """
    email, name = canonical(cells.text("Email") or ""), cells.text("Campaign") or ""
    campaign = _campaign(name, catalog)
    id = cells.text("Enrollment ID") or ""
    id = id if campaign and _fits(id, campaign, email) else ""
    why = _unfit(email, name, campaign, id)
    if campaign is None or why:
        rows.left.append(NotRestored(cells.text("Enrollment ID") or cells.id, why))
        return None
    segment = cells.text("Segment")
    _add_contact(email, cells.text("Name"), segment, rows)
    return EnrollmentRow(
        id,
        campaign,
        email,
        cells.id,
        _status(cells),
        anchor=cells.instant("Anchor", up=True),
        paused_at=cells.instant("Paused At", up=True),
        marks={n: at for n in range(1, NUMBERED + 1) if (at := cells.instant(f"Email {n} Sent")) is not None},
        segment=segment,
        ticked=_is_ticked(cells),
        created=cells.created,
    )


def _add_contact(email: str, name: str | None, segment: str | None, rows: Rows) -> None:
    """Add what only the tracker knows of the contact."""
    contact = rows.people.setdefault(ids.digest(email), Person({"email": email}))
    if name and canonical(name) != email:
        contact.fields.setdefault("name", name)
    if segment in SEGMENTS:  # used only without scores, which earlier builds did not store
        contact.fields.setdefault("segment", segment)


def _status(cells: Cells) -> str:
    status = (cells.text("Status") or "active").lower()
    if status in ("tracking", "paused", "queued", *FINISHED):
        return status
    return "paused" if _is_ticked(cells) else "active"


def _is_ticked(cells: Cells) -> bool:
    return cells.text("Pause") == "True"


def _unfit(email: str, name: str, campaign: Campaign | None, id: str) -> str:
    """Why an enrollment's row cannot be restored; "" if it can."""
    if not email:
        return "the row has no valid address"
    if campaign is None:
        return f"there is no campaign {name!r}"
    if campaign.steps[0].before is not None:
        return "reminders of a meeting: only the calendar knows whether it takes place"
    return "the row does not name its event" if campaign.reentry == "per-event" and not id else ""


def _campaign(name: str, catalog: Catalog) -> Campaign | None:
    wanted = name.strip().casefold()
    return next(
        (
            c
            for c in catalog.campaigns.values()
            if wanted in (c.name.casefold(), c.name.replace(",", " ").casefold(), c.slug)
        ),
        None,
    )


def _fits(id: str, campaign: Campaign, email: str) -> bool:
    """Whether an Enrollment ID is valid for this campaign and, if ids are derived from addresses, for this address."""
    if not re.fullmatch(rf"{re.escape(campaign.slug)}-[0-9a-f]{{20}}-\d{{1,6}}", id):
        return False
    return campaign.reentry == "per-event" or id.rpartition("-")[0] == ids.enrollment_prefix(campaign.slug, email)
