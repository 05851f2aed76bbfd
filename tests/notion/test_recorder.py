"""Recording in Notion: the real client over HTTP against the sandbox, on a real ledger with a given clock."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any, cast

import pytest

from shared.core.errors import SendError
from shared.domain.forms import SignUp
from shared.intake import enrolling
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.ledger.decisions import KEEP_FINISHED
from shared.ledger.outbox import Outbox
from shared.ledger.pacing import Pacer
from shared.notion.recorder import Recorder
from tests.conftest import Clock
from tests.support import patience
from tests.support.sandbox_server import Sandbox
from tests.support.waiting import WITHIN
from tests.support.world import ADA, World

SOURCES = {
    "contacts": "notion_businessx_db_id",
    "tracker": "notion_email_sequence_db_id",
    "email_log": "notion_email_log_db_id",
}


class Desk:
    """A world, and the owner's Notion beside it."""

    def __init__(self, world: World, box: Sandbox, layout: str) -> None:
        self.world, self.box = world, box
        self.made = box.seed(layout)
        databases = {setting: self.made[name]["database_id"] for name, setting in SOURCES.items() if name in self.made}
        settings = world.settings.model_copy(update=databases)
        self.holds: list[float] = []
        pacer = Pacer(world.ledger, "notion", 10_000, sleep=self.holds.append)
        notion = patience.notion(box, pacer.wait)
        self.recorder = Recorder(world.ledger, world.sender.catalog, settings, notion, pacer)

    def record(self) -> int:
        """Record all that is ready now; half a minute has passed, so nothing is held back any more."""
        self.world.clock.advance(seconds=30)
        return self.recorder.drain(WITHIN)

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The rows of a data source that are not in the trash."""
        pages = self.box.get("/notion.json")[self.made[name]["name"]]
        return [page["properties"] | {"id": page["id"]} for page in pages if not page["in_trash"]]

    def row(self, name: str) -> dict[str, Any]:
        """The only row."""
        (found,) = self.rows(name)
        return found

    def fault(self, kind: str, **details: Any) -> None:
        """Make Notion fail once, unless `count` says otherwise."""
        self.box.fault(kind, provider="notion", **details)


@pytest.fixture
def desk(ledger: Ledger, clock: Clock, box: Sandbox) -> Desk:
    return Desk(World(ledger, clock), box, "evergreen")


def last_error(desk: Desk, **fields: Any) -> Any:
    """What the tracker's row says after fields of the enrollment have changed."""
    run = desk.world.sign_up()
    desk.world.redis.hset(ids.enrollment_key(run), mapping=cast(Any, fields))
    desk.record()
    return desk.row("tracker")["Last Error"]


def test_the_owner_sees_a_warning(desk: Desk) -> None:
    """That the website said it sent the first email, but not when."""
    assert last_error(desk, warning="email_1_sent_at is missing") == "email_1_sent_at is missing"


def test_the_owner_sees_what_a_queued_enrollment_waits_for(desk: Desk) -> None:
    """Which enrollment, and until when."""
    known = {"state": "queued", "queued_until": "1800000000000"}
    run = f"{ids.enrollment_prefix('christmas', 'ada@example.org')}-1"
    assert last_error(desk, **known) == f"waits for {run}, until 2027-01-15T08:00:00.000+00:00 at most"
    assert desk.row("tracker")["Status"] == "Queued"


def test_the_owner_sees_why_a_queued_enrollment_ended(desk: Desk) -> None:
    """For example, because it waited for too long."""
    assert last_error(desk, state="cancelled", queued_until=1, why="it waited") == "it waited"


def test_the_owner_sees_what_a_group_blocked(desk: Desk) -> None:
    """A row Tracking for the campaign that was asked for, with the reason; one row, however often they sign up."""
    run = desk.world.sign_up()
    for _ in range(2):
        form = SignUp.model_validate(ADA)
        enrolling.sign_up(form, trigger="assessment", intake=desk.world.intake)
    desk.record()
    row = next(row for row in desk.rows("tracker") if row["Status"] == "Tracking")
    assert len(desk.rows("tracker")) == 2
    assert (row["Campaign"], row["Last Error"]) == ("BusinessX Canada", f"not enrolled, because {run} was under way")


def minute(instant: str | None) -> str | None:
    """An instant, to the minute."""
    return instant[:16] if instant else None


def test_a_sign_up_is_a_contact_and_a_tracker_row(desk: Desk) -> None:
    """Everything that the form said, and what comes next."""
    run = desk.world.sign_up(consent=True, business_name="Analytical Engines")
    desk.record()
    contact, tracker = desk.row("contacts"), desk.row("tracker")
    assert (contact["Email"], contact["Name"], contact["Business Name"]) == (
        "ada@example.org",
        "Ada",
        "Analytical Engines",
    )
    assert (contact["Segment"], contact["Assessment Score"], contact["Red Systems"]) == ("CRITICAL", 45, 2)
    assert (contact["Consent"], contact["Subscription"], contact["Source"]) == (True, "subscribed", "christmas-signup")
    assert (tracker["Enrollment ID"], tracker["Campaign"], tracker["Status"]) == (run, "Christmas 2025", "Active")
    assert minute(tracker["Anchor"]) == minute(tracker["Next Email At"]) == "2027-01-15T08:00"
    assert desk.rows("email_log") == []


def test_each_email_has_its_row_and_its_column(desk: Desk) -> None:
    """Seven emails: seven log rows, seven dates in the tracker, and a run that is complete."""
    run = desk.world.sign_up()
    desk.world.live(hours=300)
    desk.record()
    log, tracker = desk.rows("email_log"), desk.row("tracker")
    assert [row["Email ID"] for row in log] == [f"{run}-{number}" for number in range(1, 8)]
    assert {(row["Status"], row["Sent By"], row["Campaign"]) for row in log} == {
        ("Sent", "evergreen", "Christmas 2025")
    }
    assert [row["Template"] for row in log][4] == "christmas_email_5_critical"
    assert [row["Resend ID"] for row in log] == [f"id-{number}" for number in range(7)]
    assert all(tracker[f"Email {number} Sent"] for number in range(1, 8))
    assert (tracker["Status"], tracker["Next Email At"]) == ("Completed", None)
    assert minute(desk.row("contacts")["Last Email Sent"]) == minute(tracker["Email 7 Sent"])


def test_many_changes_become_one_call(desk: Desk) -> None:
    """What Notion does not have yet is recorded once, in its latest state."""
    desk.world.sign_up()
    desk.world.live(hours=300)
    assert desk.record() == 1 + 1 + 7
    assert Outbox(desk.world.ledger).depth() == 0


def test_a_change_during_the_recording_is_recorded_next(desk: Desk) -> None:
    """The entry stays if its object has changed since it was taken."""
    run = desk.world.sign_up()
    outbox = Outbox(desk.world.ledger)
    desk.record()
    desk.world.clock.advance(hours=24)
    desk.world.ledger.skip(run, 2, "by hand")
    entry = outbox.take()
    assert entry is not None
    desk.world.ledger.skip(run, 3, "by hand")
    outbox.recorded(entry)
    assert outbox.take() is not None


def test_what_a_dead_recorder_took_is_recorded_later(desk: Desk) -> None:
    """After its lease."""
    desk.world.sign_up()
    outbox = Outbox(desk.world.ledger)
    taken = [outbox.take(), outbox.take()]
    assert None not in taken and outbox.take() is None
    desk.world.clock.advance(seconds=60)
    assert outbox.take() in taken


def test_a_tracked_persons_row_becomes_the_runs_row(desk: Desk) -> None:
    """Without scores a row shows who signed up; with them it becomes the run's row."""
    desk.world.sign_up({"email": "ada@example.org", "first_name": "Ada"})
    desk.record()
    before = desk.row("tracker")
    run = desk.world.sign_up()
    desk.record()
    after = desk.row("tracker")
    assert (before["Status"], after["Status"], after["Enrollment ID"]) == ("Tracking", "Active", run)
    assert before["id"] == after["id"]


def test_an_email_that_the_website_sent_is_logged_as_such(desk: Desk) -> None:
    """Its row names the website."""
    desk.world.sign_up(email_1_status="sent", email_1_sent_at="2027-01-15T07:59:00Z")
    desk.record()
    row = desk.row("email_log")
    assert (row["Sent By"], row["Status"], minute(row["Sent At"])) == ("website", "Sent", "2027-01-15T07:59")


def test_failures_show_in_the_log_and_the_tracker(desk: Desk) -> None:
    """A refused email is `Failed` with its reason; one that keeps failing is `Retrying` from its third attempt on."""
    desk.world.sign_up()
    desk.world.provider.faults.append(SendError("refused", "Resend answered 422"))
    desk.world.work()
    desk.record()
    assert (desk.row("email_log")["Status"], desk.row("email_log")["Error"]) == ("Failed", "Resend answered 422")
    assert desk.row("tracker")["Last Error"] == "Email 1: Resend answered 422"
    desk.world.sign_up(email="bo@example.org")
    desk.world.provider.faults.extend([SendError("ambiguous", "Resend answered 500")] * 3)
    desk.world.work()
    desk.world.live(hours=0.5)
    desk.record()
    assert Counter(row["Status"] for row in desk.rows("email_log")) == {"Failed": 1, "Retrying": 1}
    desk.world.live(hours=1)
    desk.record()
    assert Counter(row["Status"] for row in desk.rows("email_log")) == {"Failed": 1, "Sent": 1}


def test_an_unsubscribe_shows_in_both(desk: Desk) -> None:
    """The contact's subscription and the run's status say so."""
    desk.world.sign_up()
    desk.world.ledger.suppress(ids.digest("ada@example.org"), "unsubscribed")
    desk.record()
    assert (desk.row("contacts")["Subscription"], desk.row("tracker")["Status"]) == ("unsubscribed", "Exited")


FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("status", {"status": 500}),
    ("status", {"status": 502}),
    ("status", {"status": 503}),
    ("status", {"status": 529}),
    ("status", {"status": 409}),
    ("quota", {}),
    ("quota", {"retry_after": 1.5}),
    ("disconnect", {}),
    ("disconnect", {"after": True}),
    ("commit-then-503", {}),
    ("timeout-after", {}),
    ("timeout-before", {}),
    ("status", {"status": 200, "body": "html"}),
]


@pytest.mark.parametrize(("kind", "details"), FAULTS, ids=lambda value: str(value))
def test_no_fault_loses_or_duplicates_a_row(desk: Desk, kind: str, details: dict[str, Any]) -> None:
    """With each kind of failure for each write in turn, each object has one page in the end, with its current state."""
    run = desk.world.sign_up()
    desk.world.work()
    for _ in range(8):
        desk.fault(kind, **details)
        desk.record()
    for _ in range(4):
        desk.record()
    assert (desk.row("contacts")["Email"], desk.row("tracker")["Enrollment ID"]) == ("ada@example.org", run)
    assert desk.row("email_log")["Email ID"] == f"{run}-1"
    assert Outbox(desk.world.ledger).depth() == 0


def test_a_deleted_page_is_recreated(desk: Desk) -> None:
    """An owner who deletes a row of a running sequence sees it come back with its next change."""
    run = desk.world.sign_up()
    desk.record()
    desk.box.notion("PATCH", f"/pages/{desk.row('tracker')['id']}", json={"in_trash": True}).raise_for_status()
    desk.world.clock.advance(hours=24)
    desk.world.ledger.skip(run, 1, "by hand")
    desk.record()
    assert desk.row("tracker")["Enrollment ID"] == run


def test_recording_waits_only_for_a_column_by_which_it_finds_the_row(desk: Desk) -> None:
    """Without such a column recording waits, says which, and continues when it is back; any other is left out."""
    source = desk.made["tracker"]["data_source_id"]

    def rename(before: str, after: str) -> None:
        desk.box.notion(
            "PATCH", f"/data_sources/{source}", json={"properties": {before: {"name": after}}}
        ).raise_for_status()

    rename("Status", "State")
    rename("Email 1 Sent", "First Email")
    rename("Email", "Address")
    desk.world.sign_up()
    desk.record()
    assert desk.rows("tracker") == []
    rename("Address", "Email")
    desk.world.clock.advance(hours=1)
    desk.record()
    row = desk.row("tracker")
    assert (row["Email"], row["State"], row["First Email"]) == ("ada@example.org", None, None)


def test_notion_is_left_alone_for_as_long_as_it_asks(desk: Desk) -> None:
    """A 429 with Retry-After holds every recorder back."""
    desk.world.sign_up()
    desk.fault("quota", retry_after=7)
    desk.recorder.drain(WITHIN)
    assert desk.world.redis.get("eg:hold:notion") == str(desk.world.clock.now + 7000)
    assert Outbox(desk.world.ledger).depth() == 2


def test_an_owners_own_contact_is_updated_not_duplicated(desk: Desk) -> None:
    """A person whom the owner knows keeps the row, its status and the columns that are not ours."""
    mine = {
        "Email": {"email": "ada@example.org"},
        "Status": {"select": {"name": "Client"}},
        "Name": {"title": [{"text": {"content": "Ada L."}}]},
    }
    body = {"parent": {"data_source_id": desk.made["contacts"]["data_source_id"]}, "properties": mine}
    desk.box.notion("POST", "/pages", json=body).raise_for_status()
    desk.world.sign_up()
    desk.record()
    row = desk.row("contacts")
    assert (row["Status"], row["First Name"]) == ("Client", "Ada")


def test_an_owner_may_write_a_domain_in_ascii(desk: Desk) -> None:
    """The row is found as well."""
    mine = {"Email": {"email": "mia@xn--kse-qla.example.org"}, "Status": {"select": {"name": "Client"}}}
    body = {"parent": {"data_source_id": desk.made["contacts"]["data_source_id"]}, "properties": mine}
    desk.box.notion("POST", "/pages", json=body).raise_for_status()
    desk.world.sign_up(email="mia@käse.example.org")
    desk.record()
    assert (desk.row("contacts")["Status"], desk.row("contacts")["Email"]) == ("Client", "mia@käse.example.org")


def test_a_notion_from_the_earlier_builds_works_unchanged(ledger: Ledger, clock: Clock, box: Sandbox) -> None:
    """Only the columns that they had: an existing row of the same person and campaign is taken up, and nothing else is
    written."""
    desk = Desk(World(ledger, clock), box, "earlier-builds")
    source = desk.made["tracker"]["data_source_id"]
    old = {"Email": {"email": "ada@example.org"}, "Campaign": {"select": {"name": "Christmas 2025"}}}
    desk.box.notion("POST", "/pages", json={"parent": {"data_source_id": source}, "properties": old}).raise_for_status()
    desk.world.sign_up()
    desk.world.live(hours=25)
    desk.record()
    row = desk.row("tracker")
    assert (row["Segment"], bool(row["Email 1 Sent"]), bool(row["Email 2 Sent"]), row["Email 3 Sent"]) == (
        "CRITICAL",
        True,
        True,
        None,
    )
    assert desk.row("contacts")["Email"] == "ada@example.org"
    assert Outbox(desk.world.ledger).depth() == 0


def test_without_notion_the_outbox_empties_itself(desk: Desk) -> None:
    """Nothing is recorded, and nothing piles up."""
    desk.world.sign_up()
    desk.world.clock.advance(seconds=1)
    assert dataclasses.replace(desk.recorder, notion=None).drain(5) == 2
    assert Outbox(desk.world.ledger).depth() == 0


def test_without_notion_a_finished_run_is_deleted_after_90_days(desk: Desk) -> None:
    """It is deleted 90 days after its end, as with Notion."""
    run = desk.world.sign_up()
    desk.world.live(hours=300)
    dataclasses.replace(desk.recorder, notion=None).drain(5)
    assert 0 < desk.world.redis.pttl(ids.enrollment_key(run)) <= KEEP_FINISHED


def test_columns_may_have_the_owners_names(desk: Desk) -> None:
    """NOTION_PROPERTY_NAMES says which."""
    source = desk.made["tracker"]["data_source_id"]
    body = {"properties": {"Email": {"name": "E-mail"}}}
    desk.box.notion("PATCH", f"/data_sources/{source}", json=body).raise_for_status()
    desk.recorder.settings = desk.recorder.settings.model_copy(
        update={"notion_property_names": {"tracker.Email": "E-mail"}}
    )
    desk.world.sign_up()
    desk.record()
    assert desk.row("tracker")["E-mail"] == desk.row("contacts")["Email"] == "ada@example.org"
