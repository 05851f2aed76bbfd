"""What an import does with people: who is enrolled, stored or left as they are, as the preview says before."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.intake.csv_import import NO_CONSENT, NO_SCORES, OBSTACLES, Import, Result
from shared.ledger import ids
from tests.conftest import START
from tests.support.spreadsheets import CAMPAIGN, bring, importing, people
from tests.support.world import World

HEAD = "email,first_name,red_systems,consent\n"
DAY = 86_400_000
ENROLLED = Result(2, "enrolled")


def run_of(address: str) -> str:
    """A contact's first run in the five-day campaign."""
    return f"{ids.enrollment_prefix(CAMPAIGN, address)}-1"


def day(days: float) -> str:
    """The date this many days from now."""
    return datetime.fromtimestamp((START + days * DAY) / 1000, UTC).isoformat()


def test_people_who_agreed_are_enrolled(tmp_path: Path, world: World) -> None:
    """People who agreed are enrolled and get every email from us, including the first; the consent is recorded."""
    found = people(
        tmp_path,
        "email,red_systems,consent,consent_text\na@example.org,1,yes,At the "
        "fair\nb@example.org,1,no,\nc@example.org,1,,\n",
    )
    assert bring(world, found) == [
        ENROLLED,
        Result(3, "stored", "consent", NO_CONSENT),
        Result(4, "stored", "consent", NO_CONSENT),
    ]
    assert {step.state for step in world.run(run_of("a@example.org")).steps} == {"scheduled"}
    contact = world.ledger.contact(ids.digest("a@example.org"))
    assert contact and (contact.fields["consent_text"], contact.fields["consent_at"]) == ("At the fair", str(START))
    for address in ("b@example.org", "c@example.org"):
        assert world.ledger.enrollment(run_of(address)) is None
        contact = world.ledger.contact(ids.digest(address))
        assert contact and "consent_at" not in contact.fields
    assert bring(world, people(tmp_path, "email\nc@example.org\n"), consent_on_file=True) == [ENROLLED]
    assert world.run(run_of("c@example.org")).state == "active"


def test_consent_on_file_does_not_overrule_a_refusal(tmp_path: Path, world: World) -> None:
    """A person marked `no` is not enrolled by the operator's general statement."""
    assert bring(world, people(tmp_path, HEAD + "b@example.org,B,1,no\n"), consent_on_file=True) == [
        Result(2, "stored", "consent", NO_CONSENT)
    ]


def test_a_campaign_can_start_in_the_past_or_later(tmp_path: Path, world: World) -> None:
    """A campaign may have begun in the past or begin later; its dates count from there."""
    found = people(
        tmp_path,
        f"email,consent,start\npast@example.org,yes,{day(-2)}\nlater@example.org,yes,{day(5)}\nnow@example.org,yes,\n",
    )
    assert {each.what for each in bring(world, found)} == {"enrolled"}
    anchors = [world.run(run_of(f"{name}@example.org")).anchor - START for name in ("past", "later", "now")]
    assert anchors == [-2 * DAY, 5 * DAY, 0]
    world.work()
    assert f"{run_of('later@example.org')}-1" not in world.provider.email_ids


def test_an_import_lifts_no_suppression(tmp_path: Path, world: World) -> None:
    """A person who unsubscribed stays unsubscribed, although an old list says yes, and is not enrolled."""
    world.ledger.suppress(ids.digest("a@example.org"), "unsubscribed")
    (note,) = bring(world, people(tmp_path, HEAD + "a@example.org,A,1,yes\n"))
    assert (note.what, note.message) == ("stored", "gets no email (unsubscribed)")
    contact = world.ledger.contact(ids.digest("a@example.org"))
    assert contact and contact.subscription == "unsubscribed" and "consent_at" not in contact.fields


def test_an_unsubscribe_during_the_import_counts(tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if it comes after the import has looked for one, and before it enrolls the person."""
    world.ledger.suppress(ids.digest("a@example.org"), "unsubscribed")
    monkeypatch.setattr(Import, "_suppressed", lambda *_: [])
    started = importing(world, people(tmp_path, HEAD + "a@example.org,A,1,yes\n"))
    assert [each.what for each in started.apply()] == ["stored"]
    contact = world.ledger.contact(ids.digest("a@example.org"))
    assert contact and contact.subscription == "unsubscribed" and "consent_at" not in contact.fields


def test_without_a_trigger_contacts_are_only_remembered(tmp_path: Path, world: World) -> None:
    """Without a trigger no one is enrolled, regardless of consent."""
    assert bring(world, people(tmp_path, HEAD + "a@example.org,Ann,1,yes\n", campaign=None), trigger=None) == [
        Result(2, "stored")
    ]
    contact = world.ledger.contact(ids.digest("a@example.org"))
    assert contact and (contact.fields["first_name"], contact.fields["source"]) == ("Ann", "import")
    assert world.redis.keys("eg:enrollment:*") == []


def test_importing_twice_enrolls_once(tmp_path: Path, world: World) -> None:
    """The same file again enrolls no one again, and says so."""
    before = Result(2, "exists", message=OBSTACLES["exists"])
    for expected in (ENROLLED, before):
        assert bring(world, people(tmp_path, HEAD + "a@example.org,Ann,1,yes\n")) == [expected]
        world.live(150)
    assert len(world.provider.accepted) == 5 and world.provider.twice == []


def test_the_preview_says_what_the_import_then_does(tmp_path: Path, world: World) -> None:
    """For each result that there is; `bring` compares the two, and that the first one changes nothing."""
    content = (
        "email,assessment_score,consent,status\n"
        "new@example.org,45,yes,active\n"
        "ada@example.org,45,yes,active\n"
        "bob@example.org,45,yes,active\n"
        "cy@example.org,,yes,active\n"
        "dan@example.org,45,,active\n"
        "eve@example.org,45,yes,cleaned\n"
        "fay@example.org,45,yes,pending\n"
        "gus@example.org,450,yes,active\n"
    )
    world.sign_up()  # Ada
    bring(world, people(tmp_path, "email,consent\nbob@example.org,yes\n"))  # the other campaign of the group
    done = bring(world, people(tmp_path, content, campaign="christmas"), trigger="christmas-signup")
    assert sorted((each.line, each.what, each.message) for each in done) == [
        (2, "enrolled", ""),
        (3, "exists", OBSTACLES["exists"]),
        (4, "blocked", OBSTACLES["blocked"]),
        (5, "stored", NO_SCORES),
        (6, "stored", NO_CONSENT),
        (7, "suppressed", "bounced"),
        (8, "refused", done[7].message),
        (9, "refused", done[0].message),
    ]
