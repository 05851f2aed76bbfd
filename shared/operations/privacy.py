"""A person's data: export everything stored about them, and erase it here and in Notion."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.core import log
from shared.core.errors import NotionError
from shared.core.settings import Settings
from shared.domain.addresses import canonical, spellings
from shared.intake import held_forms
from shared.integrations.notion import Notion
from shared.integrations.notion_values import iso
from shared.ledger import ids
from shared.ledger.answers import Erased
from shared.ledger.client import Ledger
from shared.ledger.contacts import REASONS, Contacts
from shared.ledger.rewriting import Log, clear_slow_commands, rewrite
from shared.notion import schema
from shared.notion.data_sources import locate
from shared.notion.schema import CONTACTS, EMAIL_LOG, TRACKER

BY_HAND = (
    "Resend keeps its own log of the emails (and a contact, if you created one there): delete them in Resend.",
    "Earlier Redis backups still contain the person (copies of its append-only file, and snapshots; the local stack's "
    "are in .local/backups): delete them or let them expire, and run this again after restoring one.",
    "Notion keeps trashed pages for 30 days: empty its trash to delete them now.",
    "Your calendar (Cal.com, Calendly), your inbox and the Discord channel of alerts may mention the person.",
)
NO_NOTION = "NOTION_TOKEN is not set, so Notion was not searched: if you use it, set the token and run this again."
_IN_THE_LOG = "Redis's append-only file still contains the person"
_LOG = {  # where it was not rewritten
    Log.REFUSED: f"{_IN_THE_LOG}, if it keeps one: it does not let Evergreen rewrite it. Run BGREWRITEAOF as its "
    "administrator; if it is a managed service, ask its provider when the file is rewritten, and when its backups end.",
    Log.FAILED: f"{_IN_THE_LOG}: Redis could not rewrite it, and its log says why (often its disk is full). Fix that, "
    "and run this again.",
    Log.UNFINISHED: f"{_IN_THE_LOG} until Redis has rewritten it, which goes on by itself. It is done when INFO "
    "persistence has aof_rewrite_in_progress:0; to wait for it, run this again.",
}
_SNAPSHOTS = "Redis's snapshot (dump.rdb), if it writes any, contains the person until the next one: run BGSAVE there."
_REPLICAS = "Redis has replicas, which have files of their own: run BGREWRITEAOF (and BGSAVE) on each of them."
_SLOW = "Redis's list of slow commands may name the person until it is empty: run SLOWLOG RESET as its administrator."
_CONSENT = {"consent_at": "at", "consent_text": "text", "consent_page": "page", "consent_proof": "proof"}
_INSTANTS = {
    *(
        "at",
        "judged",
        "starts",
        "anchor",
        "created",
        "ended",
        "paused_at",
        "last_sent",
        "due",
        "next",
        "posted",
        "sent",
    ),
    *("delivered", "opened", "clicked", "complained", "bounced", "consent_at", "confirmed_at"),
}
_INTERNAL = {"contact", "lease", "look", "solo", "steps", "frozen", "alerted"}
_logger = log.logger("privacy")


@dataclass(frozen=True)
class Forgotten:
    """What `forget` did.

    Attributes:
        found: whether anything was stored about the person, here or in Notion.
        erased: how much in Redis.
        pages: how many pages were moved to Notion's trash.
        log: what became of Redis's append-only file.
        left: what is left to do manually, in sentences.
    """

    found: bool
    erased: Erased
    pages: int
    log: Log
    left: tuple[str, ...]


def export(email: str, ledger: Ledger) -> dict[str, Any] | None:
    """Everything stored about a person in Redis, ready for JSON; instants are RFC 3339 in UTC. None if nothing is
    stored.

    Args:
        email: the address.
        ledger: the truth.
    """
    people, address = Contacts(ledger), canonical(email)
    contact = ids.digest(address)
    held = people.held(contact)
    if not held:
        return None
    return {
        "email": address,
        "exported_at": iso(ledger.now()),
        "contact": _contact(held.contact),
        "consent": _consent(held.contact),
        "consents": [dict(entry) | {"at": iso(int(entry["at"]))} for entry in held.consents],
        "suppression": {reason: iso(at) for reason, at in people.suppression(contact).reasons.items()},
        "enrollments": [_enrollment(run, fields) for run, fields in held.enrollments.items()],
        "meetings": [_spoken(fields) for fields in held.meetings.values()],
        "exits": {reason: iso(int(at)) for reason, at in held.exits.items()},
        "cancelled_meetings": {
            iso(int(start)) if start.isdecimal() else start: iso(int(at)) for start, at in held.cancelled.items()
        },
        "waiting_for_confirmation": [held_forms.fields_of(record) for record in held.held],
    }


def forget(
    email: str,
    ledger: Ledger,
    settings: Settings,
    notion: Notion | None,
    *,
    wait: float = 60,
    progress: Callable[[], object] = lambda: None,
) -> Forgotten:
    """Erase a person: scheduled emails, stored data, their pages in Notion, and what Redis's files hold.

    Kept, under a digest of the address: in which campaigns they had an enrollment, so that none starts again, and
    whether they want no email. A repeat erases what is left.

    Args:
        email: the address.
        ledger: the truth.
        settings: name the owner's databases.
        notion: the workspace; None leaves its pages alone.
        wait: seconds to wait for Redis to rewrite its append-only file.
        progress: called when that begins.
    """
    people, address = Contacts(ledger), canonical(email)
    contact = ids.digest(address)
    held = people.held(contact)
    erased = people.forget(contact)
    trashed, left = _trash(notion, settings, address, held.pages) if notion else (0, [NO_NOTION])
    in_files = rewrite(ledger, wait, progress)
    left += [_LOG[in_files.log]] if in_files.log in _LOG else []
    left += [_SNAPSHOTS] if in_files.snapshots else []
    left += [_REPLICAS] if in_files.replicas else []
    left += [] if clear_slow_commands(ledger, (*spellings(address), contact)) else [_SLOW]
    _logger.info("forgotten", contact=contact, enrollments=erased.enrollments, pages=trashed, log=in_files.log)
    return Forgotten(held.is_a_person or trashed > 0, erased, trashed, in_files.log, (*left, *BY_HAND))


def _trash(notion: Notion, settings: Settings, address: str, known: set[str]) -> tuple[int, list[str]]:
    """Trash the known pages, and those that contain the address; returns how many, and what could not be done."""
    left, pages = [], set(known)
    for source in (CONTACTS, TRACKER, EMAIL_LOG):
        if getattr(settings, source.setting):
            try:
                column = schema.own_name("Email", source, settings.notion_property_names)
                id = locate(notion, source, settings)
                for spelling in spellings(address):
                    pages |= {str(page["id"]) for page in notion.find_all(id, {column: spelling})}
            except NotionError as error:
                left.append(f"Notion's {source.title} could not be searched ({error}): delete the person's rows there.")
    trashed = 0
    for page in sorted(pages):
        try:
            notion.trash(page)
            trashed += 1
        except NotionError as error:
            if error.kind != "gone":
                left.append(f"Notion kept a page ({error}): delete https://www.notion.so/{page.replace('-', '')}")
    return trashed, left


def _contact(fields: Mapping[str, str]) -> dict[str, str | None]:
    return _spoken({name: value for name, value in fields.items() if name not in (*_CONSENT, *REASONS)})


def _consent(fields: Mapping[str, str]) -> dict[str, str | None] | None:
    """When and to what the person agreed; None if it was not recorded."""
    return {_CONSENT[name]: value for name, value in _spoken(fields).items() if name in _CONSENT} or None


def _enrollment(run: str, fields: Mapping[str, str]) -> dict[str, Any]:
    own = {name: value for name, value in fields.items() if "." not in name}
    steps = [_step(number, fields) for number in fields.get("steps", "").split(",") if number]
    return {"id": run} | _spoken(own) | {"emails": steps}


def _step(number: str, fields: Mapping[str, str]) -> dict[str, Any]:
    prefix = f"{number}."
    own = {name.removeprefix(prefix): value for name, value in fields.items() if name.startswith(prefix)}
    return {"number": int(number)} | _spoken(own)


def _spoken(fields: Mapping[str, str]) -> dict[str, str | None]:
    """Fields for people: with dates, and without internal ones."""
    shown = sorted(name for name in fields if name not in _INTERNAL)
    return {
        name: iso(int(fields[name])) if name in _INSTANTS and fields[name].isdigit() else fields[name] for name in shown
    }
