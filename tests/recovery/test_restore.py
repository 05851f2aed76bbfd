"""Restoring a lost ledger from Notion and Resend: the real clients against the sandbox, and a fake clock."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from shared.domain.forms import SignUp
from shared.intake import enrolling
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.operations.enrollment_actions import EnrollmentActions
from shared.operations.notion_pause import NotionPause
from tests.conftest import START, Clock
from tests.support.lost_ledger import LostLedger, Unlisted, at
from tests.support.sandbox_server import Sandbox, sandbox, text
from tests.support.world import ADA

HOUR = 3_600_000
ADAS = "ada@example.org"


@pytest.fixture
def box(clock: Clock) -> Iterator[Sandbox]:
    with sandbox(clock=lambda: clock.now / 1000) as running:
        yield running


@pytest.fixture
def lost(ledger: Ledger, clock: Clock, box: Sandbox) -> LostLedger:
    return LostLedger(ledger, clock, box)


def dump(lost: LostLedger) -> dict[str, Any]:
    """All that Redis holds, except the turns at a provider."""
    redis = lost.ledger.redis
    return {key: redis.dump(key) for key in redis.scan_iter() if not key.startswith(("eg:turns", "eg:hold"))}


@pytest.mark.parametrize("behind", [False, True], ids=["recorded", "Notion five minutes behind"])
def test_thirty_sequences_continue_with_no_email_lost_or_repeated(lost: LostLedger, behind: bool) -> None:
    """Redis is lost in the middle of them; each of the 210 emails arrives once, also those that Notion does not have
    yet."""
    runs = []
    for number in range(30):
        runs.append(lost.person(number))
        lost.pass_minutes(2)
    lost.world.live(71)
    lost.pass_minutes(20)
    lost.record()
    if behind:
        before = lost.sent().total()
        lost.pass_minutes(5)
        assert lost.sent().total() > before
    accepted = lost.sent()
    lost.lose()
    report = lost.restore()
    assert (report.runs["restored"], report.in_doubt, report.left) == (30, [], [])
    in_ledger = {
        ids.email_id(run, step.number) for run in runs for step in lost.world.run(run).steps if step.state == "sent"
    }
    assert in_ledger == set(accepted)
    lost.world.live(260)
    assert lost.sent() == {ids.email_id(run, number): 1 for run in runs for number in range(1, 8)}


def test_a_run_is_restored_as_it_was(lost: LostLedger) -> None:
    """Send times, Resend's ids, the contact, and the rows, which are updated and not duplicated."""
    run = lost.world.sign_up(consent=True, business_name="Analytical Engines")
    lost.world.live(30)
    lost.record()
    before, contact = lost.world.run(run), lost.ledger.contact(ids.digest(ADAS))
    rows = {name: [row["id"] for row in lost.rows(name)] for name in ("contacts", "tracker", "email_log")}
    lost.lose()
    lost.restore()
    after = lost.world.run(run)
    assert [step.provider_id for step in after.steps] == [step.provider_id for step in before.steps]
    assert 0 <= after.anchor - before.anchor <= 60_000
    assert all(
        abs((new.sent_at or 0) - (old.sent_at or 0)) < 60_000
        for new, old in zip(after.steps, before.steps, strict=True)
    )
    found = lost.ledger.contact(ids.digest(ADAS))
    assert contact and found and found.segment == contact.segment == "CRITICAL"
    kept = ("email", "name", "first_name", "business_name", "red_systems", "source")
    assert {name: found.fields.get(name) for name in kept} == {name: contact.fields.get(name) or "Ada" for name in kept}
    lost.world.live(24 * 12)
    lost.record()
    assert lost.rows("tracker")[0]["Status"] == "Completed"
    assert [row["id"] for row in lost.rows("tracker")] == rows["tracker"]
    assert [row["id"] for row in lost.rows("contacts")] == rows["contacts"]
    assert len(lost.rows("email_log")) == 7


def test_nothing_is_sent_before_the_fence_is_claimed(lost: LostLedger) -> None:
    """A ledger that knows a part must not begin."""
    lost.world.sign_up()
    lost.world.live(1)
    lost.record()
    lost.lose()
    lost.clock.advance(hours=48)
    lost.restorer().restore()
    lost.world.live(1)
    assert lost.sent().total() == 1
    lost.fence.claim()
    lost.world.live(0.25)
    assert lost.sent().total() == 2


def queue(lost: LostLedger) -> tuple[str, str]:
    """Ada is in Christmas, and queued for another campaign of the group; returns both enrollments."""
    catalog = lost.world.sender.catalog
    busos = catalog.campaigns["busos"].model_copy(update={"queue_for": 14 * 24 * 3600.0})
    own = dataclasses.replace(catalog, campaigns={**catalog.campaigns, "busos": busos})
    lost.world.sender = dataclasses.replace(lost.world.sender, catalog=own)
    lost.recorder.catalog = own
    first = lost.world.sign_up()
    lost.world.live(1)
    form = SignUp.model_validate(ADA)
    done = enrolling.sign_up(form, trigger="assessment", intake=lost.world.intake).outcome
    assert done.what == "queued"
    return first, done.which


def test_a_queued_enrollment_is_restored_behind_the_other(lost: LostLedger) -> None:
    """It starts when that ends, and each of its emails is sent once."""
    first, run = queue(lost)
    lost.world.live(47)
    lost.record()
    lost.lose()
    report = lost.restore()
    assert (report.runs["restored"], report.left, report.in_doubt) == (2, [], [])
    assert (lost.world.run(first).state, lost.world.run(run).state) == ("active", "queued")
    left = (lost.world.run(run).queued_until or 0) - lost.clock.now
    assert 11 * 24 * HOUR < left < 13 * 24 * HOUR
    lost.world.live(24 * 20)
    assert lost.sent() == {
        ids.email_id(one, number): 1 for one, last in ((first, 7), (run, 5)) for number in range(1, last + 1)
    }


def test_a_queued_enrollment_that_had_begun_is_not_begun_again(lost: LostLedger) -> None:
    """Its row still says Queued, and Resend's list has its first email: it is listed, and over."""
    first, run = queue(lost)
    lost.record()
    EnrollmentActions(lost.ledger, lost.world.sender.catalog, lost.settings).cancel(first)
    lost.pass_minutes(1)
    assert lost.sent()[ids.email_id(run, 1)] == 1
    lost.lose()
    report = lost.restore()
    assert [one.row for one in report.left] == [run] and "may have begun" in report.left[0].why
    lost.world.live(24 * 20)
    assert lost.sent()[ids.email_id(run, 1)] == 1


def test_without_a_list_a_queued_enrollment_is_not_restored(lost: LostLedger) -> None:
    """It is unknown whether it had begun."""
    _, run = queue(lost)
    lost.record()
    lost.lose()
    report = lost.restore(Unlisted())
    assert run in [one.row for one in report.left] and lost.ledger.enrollment(run) is None


def test_a_second_restore_changes_nothing(lost: LostLedger) -> None:
    """What is there already stays as it is."""
    for number in range(3):
        lost.person(number)
    lost.world.live(30)
    lost.record()
    lost.lose()
    lost.restore()
    before = dump(lost)
    report = lost.restorer().restore()
    assert (report.runs, report.steps) == ({"exists": 3}, {})
    assert dump(lost) == before


def test_a_dry_run_writes_nothing(lost: LostLedger) -> None:
    """It says the same as the restore that follows."""
    lost.world.sign_up()
    lost.world.live(30)
    lost.record()
    lost.lose()
    report = lost.restorer().restore(dry=True)
    assert dump(lost) == {}
    assert (report.runs, report.steps) == ({"restored": 1}, {"sent": 2, "scheduled": 5})
    assert lost.restore().steps == report.steps


def test_duplicate_rows_are_one_run(lost: LostLedger) -> None:
    """All marks of both; the earliest anchor."""
    run = lost.world.sign_up()
    lost.world.live(1)
    lost.record()
    second = {
        "Email": {"email": ADAS},
        "Campaign": {"select": {"name": "christmas 2025"}},
        "Email_2_Sent": at(24),
        "Anchor": at(5),
    }
    lost.write("tracker", Name={"title": text("Ada")}, **second)
    lost.lose()
    lost.clock.advance(hours=25)
    report = lost.restore()
    assert (report.duplicates, report.runs["restored"]) == (1, 1)
    assert lost.world.states(run)[:3] == ["sent", "sent", "scheduled"]
    assert lost.world.run(run).anchor - START <= 60_000


def test_a_paused_run_stays_paused(lost: LostLedger) -> None:
    """Until a person resumes it; then it moves by the pause's length."""
    run = lost.world.sign_up()
    lost.world.live(1)
    actions = EnrollmentActions(lost.ledger, lost.world.sender.catalog, lost.settings)
    actions.pause(run)
    lost.record()
    lost.lose()
    lost.clock.advance(hours=100)
    assert lost.restore().runs["restored"] == 1
    lost.world.live(1)
    assert (lost.world.run(run).state, lost.sent().total()) == ("paused", 1)
    actions.resume(run)
    assert abs(lost.world.run(run).step(2).due - lost.clock.now - 23 * HOUR) < 10 * 60_000


def test_a_ticked_run_comes_back_paused_and_clearing_the_tick_resumes_it(lost: LostLedger) -> None:
    """The tick is known as one that was seen."""
    run = lost.world.sign_up()
    lost.world.live(1)
    lost.record()
    page = lost.rows("tracker")[0]["id"]
    lost.change(page, Pause={"checkbox": True})
    lost.lose()
    report = lost.restore()
    assert [left.row for left in report.paused] == [run]
    ticks = NotionPause(
        lost.ledger,
        EnrollmentActions(lost.ledger, lost.world.sender.catalog, lost.settings),
        lost.settings,
        lost.notion,
    )
    assert (ticks.poll(), lost.world.run(run).state) == (0, "paused")
    lost.change(page, Pause={"checkbox": False})
    assert (ticks.poll(), lost.world.run(run).state) == (1, "active")


@pytest.mark.parametrize(
    ("source", "column", "options"),
    [
        ("contacts", "Subscription", ("subscribed", "bounced", "complained")),
        ("tracker", "Status", ("Active", "Completed")),
        ("tracker", "Status", ("Active", "Paused", "Exited")),
    ],
)
def test_where_a_stop_cannot_be_written_all_come_back_paused(
    lost: LostLedger, source: str, column: str, options: tuple[str, ...]
) -> None:
    """The row of who has unsubscribed still says otherwise: no one gets an email until the owner has looked."""
    named = {"status": {"options": [{"name": name} for name in options]}}
    path = f"/data_sources/{lost.made[source]['data_source_id']}"
    lost.box.notion("PATCH", path, json={"properties": {column: named}}).raise_for_status()
    run = lost.world.sign_up()
    lost.world.live(1)
    lost.record()
    lost.ledger.suppress(ids.digest("ada@example.org"), "unsubscribed")
    lost.lose()  # before anything of it was recorded
    report = lost.restore()
    assert [left.row for left in report.paused] == [run]
    assert report.paused[0].why.startswith(f"it may have been stopped: {column} of ")
    lost.world.live(48)
    assert (lost.world.run(run).state, lost.sent().total()) == ("paused", 1)


def test_a_suppressed_contact_gets_nothing(lost: LostLedger) -> None:
    """Also where the run's row was not updated, and when the person signs up again."""
    run = lost.world.sign_up()
    lost.world.live(1)
    lost.record()
    lost.change(lost.rows("contacts")[0]["id"], Subscription={"select": {"name": "unsubscribed"}})
    lost.lose()
    report = lost.restore()
    assert (report.runs, [left.row for left in report.left]) == ({"suppressed": 1}, [run])
    lost.world.sign_up()
    lost.world.live(48)
    assert lost.sent().total() == 1


def test_a_finished_run_never_starts_again(lost: LostLedger) -> None:
    """Neither after its end nor after a cancellation."""
    lost.world.sign_up()
    other = lost.person(1)
    lost.world.live(1)
    EnrollmentActions(lost.ledger, lost.world.sender.catalog, lost.settings).cancel(other)
    lost.world.live(270)
    lost.record()
    lost.lose()
    assert lost.restore().runs == {"marked": 2}
    before = lost.sent()
    lost.world.sign_up()
    lost.person(1)
    lost.world.live(30)
    assert lost.sent() == before


def test_a_sign_up_before_the_restore_continues_the_old_run(lost: LostLedger) -> None:
    """The new Redis took the sign-up, and sent nothing: what was sent before counts."""
    run = lost.world.sign_up()
    lost.world.live(80)
    lost.record()
    lost.lose()
    lost.restorer()._hold()
    lost.world.sign_up()
    assert lost.restore().runs == {"restored": 1, "thrown": 1}
    assert lost.world.states(run) == ["sent"] * 3 + ["scheduled"] * 4
    lost.world.live(300)
    assert set(lost.sent().values()) == {1}


def test_a_tracking_row_becomes_the_later_runs_row(lost: LostLedger) -> None:
    """A person who only signed up is remembered, and an assessment goes into the same row."""
    lost.world.sign_up({"email": ADAS, "first_name": "Ada"})
    lost.record()
    lost.lose()
    assert lost.restore().runs == {"tracked": 1}
    run = lost.world.sign_up()
    lost.record()
    assert [(row["Enrollment ID"], row["Status"]) for row in lost.rows("tracker")] == [(run, "Active")]


def test_rows_that_cannot_be_restored_are_named(lost: LostLedger) -> None:
    """An unknown campaign, a meeting's reminders, an event without a name, a row without an address."""
    email = {"Email": {"email": ADAS}}
    for campaign in ("Spring", "booking-reminder", "noshow-recovery"):
        lost.write("tracker", Campaign={"select": {"name": campaign}}, **email)
    lost.write("tracker", Campaign={"select": {"name": "Christmas 2025"}})
    report = lost.restore()
    assert (len(report.left), report.runs) == (4, {})
    assert lost.ledger.contact(ids.digest(ADAS)) is None


def test_sequences_of_earlier_builds_continue_after_their_last_email(
    ledger: Ledger, clock: Clock, box: Sandbox
) -> None:
    """Their rows have marks, no status, no anchor and no id; rows without any mark come back paused."""
    lost = LostLedger(ledger, clock, box, "earlier-builds")
    christmas = {"Campaign": {"select": {"name": "Christmas 2025"}}, "Segment": {"select": {"name": "URGENT"}}}
    lost.write(
        "tracker",
        Name={"title": text("Ada")},
        Email={"email": "Ada@example.org"},
        **christmas,
        Email_1_Sent=at(-30),
        Email_2_Sent=at(-6),
    )
    lost.write("tracker", Name={"title": text("Bob")}, Email={"email": "bob@example.org"}, **christmas)
    marks = {f"Email_{number}_Sent": at(-300 + 24 * number) for number in range(1, 8)}
    lost.write("tracker", Name={"title": text("Cy")}, Email={"email": "cy@example.org"}, **christmas, **marks)
    report = lost.restore()
    ada, bob = (f"{ids.enrollment_prefix('christmas', email)}-1" for email in (ADAS, "bob@example.org"))
    assert report.runs == {"restored": 2, "marked": 1}
    assert [(left.row, left.why) for left in report.paused] == [
        (bob, "it has neither a mark nor an anchor to continue from")
    ]
    assert lost.world.states(ada) == ["sent"] * 2 + ["scheduled"] * 5
    assert lost.world.run(ada).step(3).due == START + 42 * HOUR + 60_000
    lost.world.live(300)
    assert lost.sent() == {f"{ada}-{number}": 1 for number in range(3, 8)}


def test_rows_may_write_an_address_otherwise(lost: LostLedger) -> None:
    """The contact's and the tracker's row are one person's, and Resend's list is found; no address is no contact."""
    run = lost.world.sign_up(email="mia@käse.example.org")
    lost.world.live(1)
    lost.record()
    (contact,) = lost.rows("contacts")
    lost.change(contact["id"], Email={"email": "MIA@xn--kse-qla.example.org"}, First_Name={"rich_text": text("Mia")})
    lost.write("contacts", Name={"title": text("Bo")}, Email={"email": "not yet known"})
    lost.lose()
    report = lost.restore()
    assert [left.why for left in report.left] == ["the contact has no valid address"]
    found = lost.ledger.contact(ids.digest("mia@käse.example.org"))
    assert found and (found.email, found.fields["first_name"]) == ("mia@käse.example.org", "Mia")
    assert lost.world.run(run).step(1).provider_id
